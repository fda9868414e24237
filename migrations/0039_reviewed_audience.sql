-- A suppression that somebody gave for no graver reason must not hide that the address bounced since, or that its owner complained:
-- the graver reason takes the place of the lesser.
create function suppression_gravity(reason text) returns int
    language sql immutable parallel safe
as $$
    select case reason when 'hard_bounce' then 2 when 'complaint' then 2 when 'unsubscribe' then 1 else 0 end
$$;
grant execute on function suppression_gravity(text) to martlet_app, martlet_feedback, martlet_sender;
grant update (reason) on suppressions to martlet_app;
grant update (reason, message_id) on suppressions to martlet_feedback, martlet_sender;

-- Whoever writes an event waits for whoever gives its message to another contact, as a merge does, and the other way round: otherwise
-- neither sees what the other has written, and the event stays with a contact that is no more.
create or replace function insert_engagements() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into engagements (organization_id, message_id, event_id, contact_id, campaign_id, kind, occurred_at)
    select e.organization_id, e.message_id, e.id, m.contact_id, m.campaign_id, e.kind, e.occurred_at
      from added e
      -- One by one by the primary key: as a join the planner, while the ledger is young, would rather read all of it.
     cross join lateral (
           select m.contact_id, m.campaign_id
             from messages m
            where m.organization_id = e.organization_id and m.id = e.message_id
           offset 0
              for share) as m
     where e.kind in ('opened', 'clicked', 'replied')
       and not e.is_machine
       and m.contact_id is not null;
    return null;
end
$$;

-- An import of which nothing was noted for long is brought to a worker again, and given up after a day.
call admit_batch_role('import_batches', 'martlet_maintenance',
                      'select (organization_id, id, status, heartbeat_at, error_code), update (error_code, error)');
create index import_batches_under_way_idx on import_batches (organization_id, heartbeat_at) where status = 'processing';
create function organizations_with_imports_untouched_since(since timestamptz)
    returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select o.id
      from organizations o
     where o.status = 'active'
       and o.id in (select organization_id from import_batches where status = 'processing' and heartbeat_at < since)
     order by o.id
$$;
grant execute on function organizations_with_imports_untouched_since(timestamptz) to martlet_maintenance;
