-- In the order of the keys: an insert waits for another transaction's insert of the same key.
insert into limit_usage (organization_id, scope, scope_id, day)
select distinct organization_id, scope, scope_id, day
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::date[]) as k (organization_id, scope, scope_id, day)
 order by organization_id, scope, scope_id, day
    on conflict do nothing;
