-- The link and the message are looked up apart: a link leads on even when its message is gone. Only a message that was
-- handed to the provider at least once can have been seen by anybody.
select l.url, m.state, m.send_at, greatest(m.sent_at, m.delivered_at) as arrived_at
  from (select $1::uuid as message_id, $2::uuid as link_id) as asked
  left join messages m on m.id = asked.message_id and m.attempts > 0
  left join tracked_links l on l.id = asked.link_id;
