select l.id
  from lead_form_lists f
  join lists l on l.id = f.list_id
 where f.lead_form_id = $1
 order by l.id
   for key share of l;
