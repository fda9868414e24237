-- The gate is closed: once this commits no message of the campaign can still enter 'sending'.
update campaigns
   set status = 'paused',
       paused_reason = $2,
       paused_at = $3
 where id = $1
   and status = 'active';
