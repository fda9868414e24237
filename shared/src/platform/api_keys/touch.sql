-- The condition again: of several requests that saw a stale row, one writes.
update api_keys
   set last_used_at = now()
 where id = $1
   and (last_used_at is null or last_used_at < now() - $2::text::interval);
