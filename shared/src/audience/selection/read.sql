-- The smallest uuid in place of no cursor keeps the comparison an index condition, whichever plan is used.
select id
  from contacts
 where id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
   and id <= $2
 order by id
 limit $3;
