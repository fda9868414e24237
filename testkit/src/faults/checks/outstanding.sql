-- The longest wait of a hint, a backoff or an attempt that lies ahead, in whole minutes of the machine's time. An attempt is
-- given up after two minutes (SENDING_SECONDS of the sweeper).
select greatest(0, ceil(coalesce(max(extract(epoch from case
           when state = 'sending' then attempted_at + interval '2 minutes' - now()
           else enqueue_again_at - now()
       end)), 0) / 60))::bigint
  from messages
 where organization_id = any ($1)
   and (state = 'sending' or (state = 'scheduled' and slot_day is not null));
