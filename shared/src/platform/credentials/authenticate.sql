-- $2 is the mode of a key, which its text begins with, or `session`.
-- Runs as the tenant that the credential names: one of another organization finds no row, and nothing is counted.
-- It commits by itself before the request's work begins, so the rows it locks are held for no longer than itself.
-- Keys expire by people's time, which whoever made them named; sessions by the machine's.
with caller as (
    select k.id, null::uuid as user_id, k.scopes, k.expires_at, null::text as role, false as is_admin, o.plan_type, o.has_plan_limits, k.organization_id
      from api_keys k
      join organizations o on o.id = k.organization_id and o.status = 'active'
     where k.mode = $2
       and k.key_hash = $1
       and k.revoked_at is null
       and (k.expires_at is null or k.expires_at > clock_now())
    union all
    select s.id, s.user_id, null, null, m.role, u.is_admin, o.plan_type, o.has_plan_limits, s.organization_id
      from sessions s
      join memberships m on m.organization_id = s.organization_id and m.user_id = s.user_id
      join users u on u.id = s.user_id
      join organizations o on o.id = s.organization_id and o.status = 'active'
     where $2 = 'session'
       and s.token_hash = $1
       and s.ended_at is null
       and s.expires_at > now()
       and s.last_used_at > now() - (select c.value::interval from system_config c where c.category = 'sessions' and c.key = 'idle')
),
counted as (
    insert into request_counts as w (organization_id, credential_id, window_start, used, month, month_used)
    select organization_id, id, date_trunc('minute', now()), 1, date_trunc('month', now() at time zone 'UTC')::date,
           ($2 <> 'session')::integer
      from caller
    -- A request that began before the minute turned and comes late is counted in the minute that has begun.
    on conflict (organization_id, credential_id) do update
       set used = case when excluded.window_start > w.window_start then 1 else w.used + 1 end,
           window_start = greatest(excluded.window_start, w.window_start),
           month_used = case when excluded.month > w.month then excluded.month_used else w.month_used + excluded.month_used end,
           month = greatest(excluded.month, w.month)
    returning w.window_start, w.used, w.month, w.month_used
),
-- The condition again makes of several requests that saw a stale time one that writes.
touched_key as (
    update api_keys k
       set last_used_at = now()
      from caller
     where k.mode = $2
       and k.organization_id = caller.organization_id
       and k.id = caller.id
       and (k.last_used_at is null or k.last_used_at < now() - interval '1 minute')
),
touched_session as (
    update sessions s
       set last_used_at = now()
      from caller
     where $2 = 'session'
       and s.organization_id = caller.organization_id
       and s.id = caller.id
       and s.last_used_at < now() - interval '1 minute'
)
select caller.id,
       caller.user_id,
       caller.scopes,
       caller.expires_at,
       caller.role,
       caller.is_admin,
       caller.plan_type,
       c.value as request_limit,
       counted.used,
       ceil(extract(epoch from counted.window_start + interval '1 minute' - now()))::bigint as reset_seconds,
       plan.maximum as month_maximum,
       -- What the other keys have used is added up only where it matters.
       case when plan.maximum is not null and $2 <> 'session'
            then counted.month_used + (select coalesce(sum(r.month_used), 0)::bigint
                                         from request_counts r
                                        where r.organization_id = caller.organization_id
                                          and r.credential_id <> caller.id
                                          and r.month = counted.month) end as month_used,
       ceil(extract(epoch from (counted.month + interval '1 month') at time zone 'UTC' - now()))::bigint as month_seconds
  from caller
 cross join counted
  left join plan_limits plan
    on plan.plan_type = caller.plan_type and plan.name = 'api_requests_a_month' and caller.has_plan_limits
  left join system_config c on c.category = 'rate_limits' and c.key = caller.plan_type;
