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

-- What somebody may do once who was sent its token. The token itself is signed over the id and kept nowhere.
create table user_tokens (
    id uuid constraint user_tokens_pkey primary key,
    user_id uuid not null constraint user_tokens_user_fkey references users (id) on delete cascade,
    purpose text not null constraint user_tokens_purpose_check check (purpose in ('confirm_email', 'reset_password')),
    -- The address that it was sent to: it shows nothing of another one.
    email_lower text not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    created_at timestamptz not null default now()
);
create index user_tokens_user_idx on user_tokens (user_id, purpose);
grant select, insert, update on user_tokens to martlet_identity;

-- Attempts to log in, to sign up and to be sent mail, by keyed hashes of addresses: fixed windows by the machine's time. Of a login
-- that succeeded it is kept whence it came, so that nobody else's attempts keep its owner out.
create unlogged table attempt_counts (
    key_hash bytea constraint attempt_counts_pkey primary key
        constraint attempt_counts_key_hash_check check (length(key_hash) = 32),
    window_start timestamptz not null,
    used bigint not null constraint attempt_counts_used_check check (used > 0)
) with (fillfactor = 50);
grant select, insert, update, delete on attempt_counts to martlet_identity;

-- A login by an identity provider that is under way: used once, by whoever comes back with its state.
create table oidc_logins (
    state_hash bytea constraint oidc_logins_pkey primary key
        constraint oidc_logins_state_hash_check check (length(state_hash) = 32),
    -- Of what only whoever began it has: a state that somebody else was given logs nobody in.
    ticket_hash bytea not null constraint oidc_logins_ticket_hash_check check (length(ticket_hash) = 32),
    provider text not null,
    nonce text not null,
    -- PKCE (RFC 7636): shown to the provider alone, when the code is exchanged.
    verifier text not null,
    redirect_uri text not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
);
create index oidc_logins_expires_idx on oidc_logins (expires_at);
grant select, insert, delete on oidc_logins to martlet_identity;

-- The open sessions of one person in all of their organizations, for themselves alone.
create function sessions_of_user(asked uuid)
    returns setof sessions
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select s.*
      from sessions s
     where s.user_id = asked
       and s.ended_at is null
       and s.expires_at > now()
       and s.last_used_at > now() - (select c.value::interval from system_config c where c.category = 'sessions' and c.key = 'idle')
     order by s.last_used_at desc, s.id desc
$$;
grant execute on function sessions_of_user(uuid) to martlet_identity;

-- Ends the sessions of one person in all of their organizations: the one that is named, or all but the one that is to go on.
create function end_sessions_of_user(asked uuid, this_one uuid, all_but uuid)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    with held as (
        select s.organization_id, s.id
          from sessions s
         where s.user_id = asked
           and s.ended_at is null
           and (this_one is null or s.id = this_one)
           and (all_but is null or s.id <> all_but)
         order by s.organization_id, s.id
           for update
    ), ended as (
        update sessions s
           set ended_at = now()
          from held h
         where s.organization_id = h.organization_id and s.id = h.id
        returning s.id
    )
    select count(*) from ended
$$;
grant execute on function end_sessions_of_user(uuid, uuid, uuid) to martlet_identity;
create index sessions_of_user_idx on sessions (user_id) where ended_at is null;

insert into system_config (category, key, value_type, value, description) values
    ('login', 'window', 'duration', '15m', 'How long failed attempts to log in are counted together.'),
    ('login', 'failures_of_account_and_address', 'number', '5',
     'Failed attempts to log in to one account from one address in a window, after which that address waits.'),
    ('login', 'failures_of_account', 'number', '100',
     'The same of one account from all addresses; an address that the account was logged in from before is let in nevertheless.'),
    ('login', 'failures_of_address', 'number', '50', 'The same of one address with all accounts.'),
    ('login', 'sign_ups_of_address', 'number', '10', 'Sign-ups of one address in an hour.'),
    ('login', 'mails_of_account', 'number', '3', 'Mails with a link that one address is sent in an hour because somebody asks for them.'),
    ('oidc', 'providers', 'json', '[]',
     'Identity providers (OpenID Connect), each an object with name, issuer, client_id and, unless the client is public, secret_arn.');
