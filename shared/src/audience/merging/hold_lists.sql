select l.id
  from lists l
 where l.id = any (array(select m.list_id from list_members m where m.contact_id = any ($1::uuid[])))
 order by l.id
   for key share of l;
