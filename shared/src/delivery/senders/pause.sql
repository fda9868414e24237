-- The gate is closed: no claim that has seen the sender active is still on its way to 'sending'.
update senders
   set status = 'paused',
       paused_reason = $2
 where id = $1;
