update contacts
   set status = 'contacted'
 where organization_id = any ($1::uuid[])
   and id = any ($2::uuid[])
   and status = 'active';
