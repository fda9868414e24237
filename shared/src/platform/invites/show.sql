select i.*, coalesce(o.brand_name, o.name) as organization_name
  from invites i
  join organizations o on o.id = i.organization_id and o.status = 'active'
 where i.id = $1;
