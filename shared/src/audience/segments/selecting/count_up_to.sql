select count(*) as people
  from contacts c /* by id */
 where c.id <= $1
   and true /* who */;
