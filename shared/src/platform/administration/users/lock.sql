-- All administrators, so that of two who are demoted at once the second is found to be the last one, and the person.
select id
  from users
 where is_admin
    or id = $1
 order by id
   for no key update;
