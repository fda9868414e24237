update senders
   set status = 'active',
       paused_reason = null
 where id = $1
   and status in ('paused', 'pending');
