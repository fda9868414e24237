update senders
   set status = $2,
       ramp_started_on = $3,
       ramp_from = coalesce($4, ramp_from),
       ramp_days = coalesce($5, ramp_days),
       paused_reason = null,
       paused_at = null,
       paused_from = null,
       resumed_at = $6
 where id = $1
   and status in ('paused', 'pending');
