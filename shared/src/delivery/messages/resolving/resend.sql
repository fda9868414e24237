-- Gives the slot up and waits, as the same row, for another. The rows are locked and their slots read by the caller.
update messages
   set state = 'scheduled',
       slot_day = null,
       enqueue_again_at = null,
       resent_at = $2,
       outcome_code = $3,
       outcome_detail = null
 where id = any ($1::uuid[]);
