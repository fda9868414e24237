select count(*) as people
  from contacts c /* by id */
 where true /* who */;
