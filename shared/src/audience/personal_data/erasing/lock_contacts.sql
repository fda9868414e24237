-- With those that are the same person, whose row goes with this one's: in the order of contacts, before any of them is touched.
select
  from contacts
 where id = $1
    or person_id = (select person_id from contacts where id = $1)
 order by id
   for update;
