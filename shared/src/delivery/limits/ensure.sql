-- In the order of the keys: an insert waits for another transaction's insert of the same key.
insert into limit_usage (organization_id, scope, scope_id, day, hour)
select distinct organization_id, scope, scope_id, day, hour
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::date[], $5::smallint[])
       as k (organization_id, scope, scope_id, day, hour)
 order by organization_id, scope, scope_id, day, hour
    on conflict do nothing;
