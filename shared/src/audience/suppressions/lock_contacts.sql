-- Whoever has one of these addresses: while they are locked, no claim of a mail to them passes.
select id, email_lower
  from contacts
 where email_lower = any ($1::text[])
 order by id
   for update;
