with counted as (
    insert into address_request_counts as w (address_hash, window_start, used)
    values ($1, date_trunc('minute', now()), 1)
    on conflict (address_hash) do update
       set used = case when excluded.window_start > w.window_start then 1 else w.used + 1 end,
           window_start = greatest(excluded.window_start, w.window_start)
    returning w.window_start, w.used
)
select 'public' as plan_type,
       c.value as request_limit,
       counted.used,
       ceil(extract(epoch from counted.window_start + interval '1 minute' - now()))::bigint as reset_seconds
  from counted
  left join system_config c on c.category = 'rate_limits' and c.key = 'public';
