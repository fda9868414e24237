-- What nobody may do to somebody else's account: addresses are folded in one way, invites are no way to write to anybody, keys have
-- a mode, and what nobody has confirmed goes.

-- A to Z and nothing else is folded, as the program does it, whatever the database's own collation makes of other letters.
alter table users
    drop constraint users_email_lower_key,
    drop column email_lower;
alter table users
    add column email_lower text collate "C" not null generated always as (lower(email collate "C")) stored,
    add constraint users_email_lower_key unique (email_lower);
grant select (email_lower) on users to martlet_admin;

-- A secret is named nowhere in a setting: it lies beside the issuer that it is for, in a secret that only whoever deploys writes.
update system_config
   set description = 'Identity providers (OpenID Connect), each an object with name, issuer and client_id.'
 where category = 'oidc' and key = 'providers';
update system_config
   set value = (select coalesce(jsonb_agg(provider - 'secret_arn' order by place), '[]')::text
                  from jsonb_array_elements(value::jsonb) with ordinality as listed (provider, place))
 where category = 'oidc' and key = 'providers' and value like '%secret_arn%';

-- How many mails with an invite an address was sent or is about to be sent within a day, by whichever organization. Whoever asks
-- goes on to plan one: the next who asks for the same address waits for that.
create function invite_mails_to(address text) returns bigint
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('invites to ' || lower(address collate "C"), 0));
    return (select count(*)
              from messages m
              join system_mails s on s.organization_id = m.organization_id and s.message_id = m.id
             where m.organization_id = '00000000-0000-0000-0000-000000000001'
               and m.recipient_lower = lower(address collate "C")
               and m.kind = 'system'
               and m.state <> 'cancelled'
               and s.template = 'invite'
               and s.created_at > now() - interval '1 day');
end
$$;
grant execute on function invite_mails_to(text) to martlet_app;

-- A key that is for trying things out starts nothing that leaves Martlet.
alter table api_keys
    add column mode text not null default 'live' constraint api_keys_mode_check check (mode in ('live', 'test'));

-- Whoever suspends an organization that is being deleted decides how it comes back.
alter table organizations
    add column restored_as text not null default 'active'
        constraint organizations_restored_as_check check (restored_as in ('active', 'suspended'));
grant update (restored_as) on organizations to martlet_app;

-- Sets as what an organization that is being deleted would come back, for an administrator, and records it there. False where it is
-- not being deleted.
create function set_restored_as(target uuid, new_status text, act uuid, actor uuid, request text) returns boolean
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    present text;
begin
    select restored_as into present from organizations where id = target and status = 'deleting' for no key update;
    if not found then
        return false;
    end if;
    if present <> new_status then
        update organizations set restored_as = new_status where id = target;
        insert into audit_log (organization_id, id, actor_kind, actor_id, action, subject_id, details, request_id)
        values (target, act, 'user', actor,
                case new_status when 'suspended' then 'organization.suspended' else 'organization.resumed' end, target,
                jsonb_build_object('before', jsonb_build_object('restored_as', present),
                                   'after', jsonb_build_object('restored_as', new_status), 'by', 'installation'), request);
    end if;
    return true;
end
$$;
grant execute on function set_restored_as(uuid, text, uuid, uuid, text) to martlet_admin;

-- Deletes at most so many sign-ups that nobody has confirmed for a week, and begins to delete the organizations that they made, in
-- which nobody has ever been; returns how many. Who was brought along, or belongs anywhere else, is none of them. Whoever is
-- confirmed at this moment is passed over.
create function abandon_sign_ups(most integer) returns bigint
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    gone uuid[];
begin
    select coalesce(array_agg(id), '{}')
      into gone
      from (select u.id
              from users u
             where u.email_verified_at is null
               and u.last_login_at is null
               -- What an administrator has stopped stays stopped.
               and u.disabled_at is null
               and u.password_hash like '$argon2id$%'
               and u.created_at < now() - interval '7 days'
               and not exists (select
                                 from user_tokens t
                                where t.user_id = u.id and t.created_at >= now() - interval '7 days')
               and not exists (select from identities i where i.user_id = u.id)
               -- Only where they signed up themselves, and are alone.
               and not exists (select
                                 from memberships m
                                where m.user_id = u.id
                                  and (not exists (select
                                                     from onboarding b
                                                    where b.organization_id = m.organization_id
                                                      and b.user_id = u.id
                                                      and b.step = 'pending')
                                       or exists (select
                                                    from memberships other
                                                   where other.organization_id = m.organization_id
                                                     and other.user_id <> u.id)))
             order by u.id
             limit most
               for update of u skip locked) as held;
    update organizations o
       set status = 'deleting', delete_after = clock_now(), deletion_id = gen_random_uuid()
      from memberships m
     where m.organization_id = o.id
       and m.user_id = any (gone)
       and o.status <> 'deleting';
    delete from users where id = any (gone);
    return cardinality(gone);
end
$$;
grant execute on function abandon_sign_ups(integer) to martlet_maintenance;

-- Deletes counts of requests whose minute was over an hour ago, at most so many of each kind; returns how many. A credential that is
-- used no more, and an address that comes no more, would leave its row for ever.
create function sweep_request_counts(most integer) returns bigint
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    of_credentials bigint;
    of_addresses bigint;
begin
    delete from request_counts
     where ctid = any (array(select ctid
                               from request_counts
                              where window_start < now() - interval '1 hour'
                              limit most
                                for update skip locked));
    get diagnostics of_credentials = row_count;
    delete from address_request_counts
     where ctid = any (array(select ctid
                               from address_request_counts
                              where window_start < now() - interval '1 hour'
                              limit most
                                for update skip locked));
    get diagnostics of_addresses = row_count;
    return of_credentials + of_addresses;
end
$$;
grant execute on function sweep_request_counts(integer) to martlet_maintenance;

insert into system_config (category, key, value_type, value, description) values
    ('invites', 'made_in_a_day', 'number', '100',
     'Invites that an organization makes within a day, those that it takes back among them.'),
    ('invites', 'mails_of_address', 'number', '5',
     'Mails with an invite that one address is sent within a day, whichever organizations invite.');
