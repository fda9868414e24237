-- A clock that was set back while the campaign was paused must not take earlier pauses away.
update campaigns
   set status = 'active',
       paused_seconds = paused_seconds + greatest(0, extract(epoch from $2::timestamptz - paused_at)::bigint),
       paused_at = null
 where id = $1
   and status = 'paused'
returning *;
