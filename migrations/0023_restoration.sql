-- Whether this is the database that was written to last. Each run of the scheduler counts one up here and remembers the number
-- outside of the database; where that is larger, the database was restored to an earlier time.
create table ledger_runs (
    is_only boolean not null default true constraint ledger_runs_is_only_check check (is_only),
    runs bigint not null default 0,
    -- When the number outside was last seen to be this one (machine time). Nothing is planned or handed to the provider by a
    -- ledger that was confirmed too long ago, as that of every restored database was. Null before the first run.
    confirmed_at timestamptz,
    -- When a restoration was last noticed, and the last confirmation that the backup had: what was lost lies between.
    restored_at timestamptz,
    lost_since timestamptz,
    constraint ledger_runs_pkey primary key (is_only)
);
insert into ledger_runs default values;
grant select (runs, confirmed_at, restored_at, lost_since), update (runs, confirmed_at, restored_at, lost_since) on ledger_runs to martlet_scheduler;
grant select (confirmed_at) on ledger_runs to martlet_sender;

-- The organizations in which mail may have left since the backup: with somebody due, or with a planned message.
create function organizations_to_hold(due_before timestamptz) returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select o.id
      from organizations o
     where exists (select from enrollments e
                    where e.organization_id = o.id and e.next_due_at is not null and e.next_due_at <= due_before)
        or exists (select from messages m
                    where m.organization_id = o.id and m.state = 'scheduled' and m.slot_day is not null)
     order by o.id
$$;
grant execute on function organizations_to_hold(timestamptz) to martlet_scheduler;
