-- In the order of the keys, so that two attempts that share several wait for each other and never in a circle.
insert into attempt_counts as c (key_hash, window_start, used)
select k.key_hash, now(), 1
  from unnest($1::bytea[]) as k (key_hash)
 order by k.key_hash
    on conflict (key_hash) do update
   set used = case when c.window_start <= now() - make_interval(secs => $2) then 1 else c.used + 1 end,
       window_start = case when c.window_start <= now() - make_interval(secs => $2) then now() else c.window_start end
returning c.key_hash, c.used, ceil(extract(epoch from c.window_start + make_interval(secs => $2) - now()))::bigint;
