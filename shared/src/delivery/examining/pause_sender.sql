-- The gate is closed: no claim that has seen the sender active is still on its way to 'sending'.
update senders
   set status = 'paused',
       paused_from = status,
       paused_reason = $2,
       paused_at = $3
 where id = $1
   and status in ('warming', 'active');
