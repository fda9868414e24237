-- The gate is closed: once this commits no message of the campaign can still enter 'sending'.
update campaigns
   set status = 'paused', paused_at = $2
 where id = $1
   and status = 'active'
returning *;
