-- Held until the run refers to it.
select w.id, w.name, e.url is not null as has_url, e.status = 'enabled' as is_enabled
  from workflows w
  join webhook_endpoints e on e.organization_id = w.organization_id and e.id = w.id
 where ($1::uuid is null or w.id = $1)
   and ($2::text is null or w.name = $2)
   and e.status <> 'deleting'
   for key share;
