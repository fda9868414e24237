-- One that somebody else's mail has got since it was looked at stays, unless it names the person ($3). In the order of whoever stores
-- links.
with own as materialized (
    select l.organization_id, l.id
      from unnest($1::uuid[], $2::uuid[]) as found (id, other_message_id)
      join tracked_links l on l.id = found.id
     where l.other_message_id is not distinct from found.other_message_id
        or names_person(l.url, $3)
     order by l.id
       for update of l
)
delete from tracked_links l
 using own
 where l.organization_id = own.organization_id
   and l.id = own.id;
