select
  from contacts
 where email_lower = any ($1::text[])
 order by id
   for key share;
