-- All of the person's, and that of the message, which may have gone to an address that the person has no more.
-- An array, so that the primary key finds them one by one: as two conditions with OR between them everybody's would be read.
select
  from enrollments e
 where e.id = any (array(
       select other.id
         from contacts c
         join enrollments other on other.organization_id = c.organization_id and other.contact_id = c.id
        where c.email_lower = $1
       union
       select m.enrollment_id
         from messages m
        where m.id = $2))
 order by e.id
   for update;
