-- All of the person's, and that of the message, which may have gone to an address that the person has no more.
select
  from enrollments e
 where e.contact_id in (select id from contacts where email_lower = $1)
    or e.id in (select enrollment_id from messages where id = $2)
 order by e.id
   for update;
