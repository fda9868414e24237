-- The smallest uuid in place of no cursor keeps the comparison an index condition.
select c.id
  from contacts c /* by id */
 where c.id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
   and c.id <= $2
   and true /* who */
 order by c.id
 limit $3;
