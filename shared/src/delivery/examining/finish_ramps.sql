-- One that somebody has paused meanwhile stays so, and finds the end of its ramp when it is resumed.
update senders
   set status = 'active'
 where id = any ($1::uuid[])
   and status = 'warming'
returning organization_id, id;
