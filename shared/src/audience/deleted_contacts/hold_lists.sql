select l.id
  from lists l
 where l.id = any (array(select (kept.value ->> 'list_id')::uuid
                           from deleted_contacts d
                          cross join lateral jsonb_array_elements(d.snapshot -> 'lists') as kept
                          where d.id = any ($1::uuid[])))
 order by l.id
   for key share of l;
