-- Of two who accept at once the second finds it used.
select i.*
  from invites i
  join organizations o on o.id = i.organization_id and o.status = 'active'
 where i.id = $1
   for no key update of i;
