-- A person is taken out of everything that is kept, and what comes in afterwards does not bring them back.

-- Whoever asks for the mails to an address means it in any case, and lower() is not leakproof: see contacts.
alter table messages
    add column recipient_lower text collate "C" not null generated always as (lower(recipient collate "C")) stored;
create index messages_recipient_idx on messages (organization_id, recipient_lower);

-- Of an event what it counts as stays; of a reply and of a link that is one person's own, nothing.
grant update (dedupe_key, details, ip, user_agent) on message_events to martlet_app;
grant delete on replies to martlet_app;
grant delete on tracked_links to martlet_app;

-- An erased message has the recipient 'erased'. What is reported of it later, or done with it by whoever still has the
-- mail, counts and says nothing of anybody. The lock is the one that the foreign key takes in any case: whoever is
-- erasing the message at this moment is waited for.
create function keep_erased_messages_erased() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    to_whom text;
begin
    select recipient into to_whom
      from messages
     where organization_id = new.organization_id and id = new.message_id
       for key share;
    if to_whom = 'erased' then
        new.details := '{}';
        new.ip := null;
        new.user_agent := null;
        -- That of a visit knows the visitor and the URL.
        if new.kind in ('opened', 'clicked') then
            new.dedupe_key := new.id::text;
        end if;
    end if;
    return new;
end
$$;
create trigger keep_erased_messages_erased before insert on message_events
    for each row when (new.details <> '{}' or new.ip is not null or new.user_agent is not null)
    execute function keep_erased_messages_erased();
