-- Every enrollment that a batch may touch: those of its messages ($1, $2), and all of the people that it stops ($3, $4).
-- An array for the reason that lock_contacts.sql gives.
select
  from enrollments e
 where e.organization_id = any ($1::uuid[] || $3::uuid[])
   and e.id = any (array(
       select m.enrollment_id
         from messages m
        where m.organization_id = any ($1::uuid[])
          and m.id = any ($2::uuid[])
       union
       select other.id
         from messages m
        cross join lateral (
              select e.id
                from contacts c
                join enrollments e on e.organization_id = c.organization_id and e.contact_id = c.id
               where c.organization_id = m.organization_id and c.email_lower = lower(m.recipient collate "C")
              offset 0) as other
        where m.organization_id = any ($3::uuid[])
          and m.id = any ($4::uuid[])))
 order by e.organization_id, e.id
   for update;
