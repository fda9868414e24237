-- One that somebody else's mail has got since it was looked at stays.
delete from tracked_links l
 using unnest($1::uuid[], $2::uuid[]) as found (id, other_message_id)
 where l.id = found.id
   and l.other_message_id is not distinct from found.other_message_id;
