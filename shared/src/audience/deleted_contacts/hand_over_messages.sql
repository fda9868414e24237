-- In the order of their ids, as everybody locks messages.
with loose as materialized (
    select id, campaign_id
      from messages
     where id = any (array(select kept.id::uuid
                             from deleted_contacts d
                            cross join lateral jsonb_array_elements_text(d.snapshot -> 'messages') as kept (id)
                            where d.id = $1))
       and contact_id is null
     order by id
       for update
)
update messages m
   set contact_id = $2,
       -- That of the same way alone: whoever was in the campaign twice, as two contacts, has two mails of a step, of which the other
       -- way's belongs to nobody's.
       enrollment_id = (select e.id
                          from enrollments e
                         where e.campaign_id = l.campaign_id
                           and e.contact_id = $2
                           and e.id = any (array(select (kept.way ->> 'id')::uuid
                                                   from deleted_contacts d
                                                  cross join lateral jsonb_array_elements(d.snapshot -> 'enrollments') as kept (way)
                                                  where d.id = $1)))
  from loose l
 where m.id = l.id;
