select count(*) as people
  from contacts c
 where c.id <= $1
   and true /* who */;
