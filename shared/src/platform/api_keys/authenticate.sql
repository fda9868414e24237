-- Runs as the tenant that the key names: a key of another organization finds no row, and nothing is counted.
-- It commits by itself before the request's work begins, so the rows it locks are held for no longer than itself.
with caller as (
    select k.organization_id, k.id, o.plan_type
      from api_keys k
      join organizations o on o.id = k.organization_id and o.status = 'active'
     where k.key_hash = $1
       and k.revoked_at is null
       and (k.expires_at is null or k.expires_at > clock_now())
),
counted as (
    insert into rate_limit_windows as w (organization_id, api_key_id, window_start, used)
    select organization_id, id, date_trunc('minute', now()), 1
      from caller
    -- A request that began before the minute turned and comes late is counted in the minute that has begun.
    on conflict (organization_id, api_key_id) do update
       set used = case when excluded.window_start > w.window_start then 1 else w.used + 1 end,
           window_start = greatest(excluded.window_start, w.window_start)
    returning w.window_start, w.used
),
-- The condition again makes of several requests that saw a stale time one that writes.
touched as (
    update api_keys k
       set last_used_at = now()
      from caller
     where k.organization_id = caller.organization_id
       and k.id = caller.id
       and (k.last_used_at is null or k.last_used_at < now() - interval '1 minute')
)
select caller.id,
       caller.plan_type,
       c.value as request_limit,
       counted.used,
       ceil(extract(epoch from counted.window_start + interval '1 minute' - now()))::bigint as reset_seconds
  from caller
 cross join counted
  left join system_config c on c.category = 'rate_limits' and c.key = caller.plan_type;
