select a.email, o.name as organization, e.url
  from owner_addresses($1) as a (email)
  join organizations o on o.id = $1
  join webhook_endpoints e on e.organization_id = o.id and e.id = $2;
