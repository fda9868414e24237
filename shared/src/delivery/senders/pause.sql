-- The gate is closed: no claim that has seen the sender active is still on its way to 'sending'. One that was paused before
-- keeps what it was then.
update senders
   set status = 'paused',
       paused_reason = $2,
       paused_at = case when status = 'paused' then paused_at else $3 end,
       paused_from = case when status = 'paused' then paused_from else status end
 where id = $1;
