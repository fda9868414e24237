-- The links that are the person's own, and which other message is known to have each. $1 and $2 are the links of the person's
-- messages ($3) and how the text says them; $4 is how a text names the person.
select id, other_message_id
  from tracked_links
 where message_id = any ($3::uuid[])
   and other_message_id is null
union
-- One that others have got as well is not the person's own, and their mails need it; what every mail ends in is everybody's.
select l.id, l.other_message_id
  from unnest($1::uuid[], $2::text[]) as k (id, url)
  join tracked_links l on l.id = k.id
  join steps s on s.id = l.step_id
 where position(k.url in s.body_template) = 0
   and case
           when exists (select
                          from messages m
                         where m.id = any (array[l.message_id, l.other_message_id])
                           and m.id <> all ($3)
                           and (m.body is not null or m.state = 'scheduled')) then false
           -- No message is known that has it, or these are the person's, erased, or never went out; another one may be anybody's.
           else not exists (select
                              from messages m
                             where m.step_id = l.step_id
                               and m.id <> all ($3)
                               and (position(k.url in m.body) > 0 or position(l.url in m.body) > 0))
       end
   and not exists (select from senders s where position(k.url in s.signature) > 0)
   and not exists (select from organizations o where position(k.url in o.postal_address) > 0)
union
select id, other_message_id
  from tracked_links
 where names_person(url, $4)
 order by id;
