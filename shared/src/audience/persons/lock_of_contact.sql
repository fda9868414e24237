select p.*
  from persons p
 where p.id = (select person_id from contacts where id = $1)
   for update;
