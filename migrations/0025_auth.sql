-- What the installation itself writes to people, how they log in, and what keeps others from doing it for them.

-- A mail of the installation: a message of kind `system` in the default organization, with no campaign, sender or contact. What it
-- says is made of a built-in text when it is sent. Of a link that acts there is the act and what it is about; the token in it is
-- signed then, so that nobody reads one here.
create table system_mails (
    organization_id uuid not null,
    message_id uuid not null,
    template text not null constraint system_mails_template_check check (template ~ '^[a-z][a-z0-9_]{0,62}$'),
    variables jsonb not null default '{}',
    action_purpose text,
    action_id uuid,
    created_at timestamptz not null default now(),
    constraint system_mails_pkey primary key (organization_id, message_id),
    constraint system_mails_message_fkey foreign key (organization_id, message_id)
        references messages (organization_id, id) on delete cascade,
    constraint system_mails_action_check check ((action_purpose is null) = (action_id is null))
);
call protect_tenant_table('system_mails', 'select, delete');
call admit_batch_role('system_mails', 'martlet_sender', 'select');

-- Until its time comes, such a mail has no slot: the day on which it is counted is not known before.
create index messages_system_idx on messages (organization_id, send_at)
    where kind = 'system' and state = 'scheduled' and slot_day is null;

-- The one way to write one, for every function: the organization that it belongs to is not that of whoever plans it. The same
-- key again is the same mail.
create function plan_system_mail(its_id uuid, its_template text, its_recipient text, its_variables jsonb, its_purpose text,
                                 its_subject uuid, its_key text, goes_at timestamptz, ends_at timestamptz)
    returns uuid
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    ours constant uuid := '00000000-0000-0000-0000-000000000001';
    planned uuid;
    is_due constant boolean := goes_at <= public.clock_now();
begin
    insert into messages (organization_id, id, kind, dedupe_key, recipient, send_at, expires_at, slot_day, enqueue_again_at)
    values (ours, its_id, 'system', 'system:' || its_key, its_recipient, goes_at, ends_at,
            case when is_due then (goes_at at time zone 'UTC')::date end, case when is_due then now() end)
        on conflict on constraint messages_dedupe_key do nothing
    returning id into planned;
    if planned is null then
        select m.id into strict planned from messages m where m.organization_id = ours and m.dedupe_key = 'system:' || its_key;
        return planned;
    end if;
    insert into system_mails (organization_id, message_id, template, variables, action_purpose, action_id)
    values (ours, planned, its_template, its_variables, its_purpose, its_subject);
    return planned;
end
$$;
grant execute on function plan_system_mail(uuid, text, text, jsonb, text, uuid, text, timestamptz, timestamptz)
    to martlet_app, martlet_identity, martlet_scheduler, martlet_maintenance, martlet_feedback;

-- Takes back what has not left of the mails whose keys begin like this; returns how many. One that a sender has in its hands goes.
create function cancel_system_mails(key_begins text, code text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    with waiting as (
        select m.organization_id, m.id
          from messages m
         where m.organization_id = '00000000-0000-0000-0000-000000000001'
           and m.kind = 'system'
           and m.state = 'scheduled'
           and starts_with(m.dedupe_key, 'system:' || key_begins)
         order by m.id
           for update skip locked
    ), cancelled as (
        update messages m
           set state = 'cancelled', slot_day = null, enqueue_again_at = null, outcome_code = code
          from waiting w
         where m.organization_id = w.organization_id and m.id = w.id
        returning m.id
    )
    select count(*) from cancelled
$$;
grant execute on function cancel_system_mails(text, text)
    to martlet_app, martlet_identity, martlet_scheduler, martlet_maintenance, martlet_feedback;

insert into system_config (category, key, value_type, value, description) values
    ('mail', 'system_sender', 'string', '',
     'The address that the installation''s own mails come from, on a domain that SES has verified. While it is empty they wait.'),
    ('mail', 'system_sender_name', 'string', 'Martlet', 'The name that people see beside that address.'),
    ('mail', 'console_url', 'string', '',
     'Where the links of the installation''s own mails lead; while it is empty, to the public address of this installation.');
