-- The index on doubtful mails is one of few states, which the planner sees only where a state is written out: asked with the
-- state as a value, each minute read all messages.
create or replace function oldest_unresolved_seconds() returns bigint
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select coalesce(max(extract(epoch from now() - least(unknown.attempted_at, review.attempted_at)))::bigint, 0)
      from organizations o
      left join lateral (
           select m.attempted_at
             from messages m
            where m.organization_id = o.id and m.state = 'unknown'
            order by m.attempted_at
            limit 1) as unknown on true
      left join lateral (
           select m.attempted_at
             from messages m
            where m.organization_id = o.id and m.state = 'review'
            order by m.attempted_at
            limit 1) as review on true;
$$;
