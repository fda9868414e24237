-- How long the oldest mail has been waiting for somebody to know what became of it, in seconds of machine time; 0 where
-- there is none. It is what an alarm needs to know of all tenants, and it names none of them.
create function oldest_unresolved_seconds() returns bigint
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select coalesce(max(extract(epoch from now() - oldest.attempted_at))::bigint, 0)
      from organizations o
           cross join unnest(array['unknown', 'review']) as doubtful (state)
           cross join lateral (
               select m.attempted_at
                 from messages m
                where m.organization_id = o.id and m.state = doubtful.state
                order by m.attempted_at
                limit 1) as oldest;
$$;
grant execute on function oldest_unresolved_seconds() to martlet_scheduler;
