select format('%s', state)
  from messages
 where organization_id = any ($1)
   and ((state in ('failed', 'cancelled', 'suppressed', 'expired') and slot_day is not null)
        or (state <> 'scheduled' and enqueue_again_at is not null)
        or (state = 'scheduled' and slot_day is not null and enqueue_again_at is null)
        or (state = 'sent' and sent_at is null));
