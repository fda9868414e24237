-- $1 and $2 are the links of the person's messages ($3) and how the text says them. One that others have got as well is
-- not the person's own, and their mails need it; what every mail ends in is everybody's.
select l.id
  from unnest($1::uuid[], $2::text[]) as k (id, url)
  join tracked_links l on l.id = k.id
  join steps s on s.id = l.step_id
 where position(k.url in s.body_template) = 0
   and case
           when l.message_id <> all ($3::uuid[]) or l.other_message_id <> all ($3) then false
           when l.message_id is not null and l.other_message_id is null then true
           -- Two of the person's mails have it, and a third one may be anybody's; or it is so old that no message of it is known.
           else not exists (select
                              from messages m
                             where m.step_id = l.step_id
                               and m.id <> all ($3)
                               and (position(k.url in m.body) > 0 or position(l.url in m.body) > 0))
       end
   and not exists (select from senders s where position(k.url in s.signature) > 0)
   and not exists (select from organizations o where position(k.url in o.postal_address) > 0)
union
select id
  from tracked_links
 where url ~* $4
 order by id;
