select
  from messages m
 where m.organization_id = any ($1::uuid[])
   and m.id = any ($2::uuid[])
 order by m.organization_id, m.id
   for update of m;
