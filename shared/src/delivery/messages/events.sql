select kind, occurred_at, details
  from message_events
 where message_id = $1
 order by occurred_at, id;
