select count(*) as people
  from contacts c
 where true /* who */;
