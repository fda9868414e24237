-- A clock that was set back while the campaign was paused must not take earlier pauses away. A second that has begun counts
-- as a whole one, so that no offset is reached early.
update campaigns
   set status = 'active',
       paused_seconds = paused_seconds + greatest(0, ceil(extract(epoch from $2::timestamptz - paused_at))::bigint),
       paused_at = null,
       paused_reason = null,
       resumed_at = $2
 where id = $1
   and status = 'paused'
returning *;
