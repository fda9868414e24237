select w.id, w.name, e.url, e.event_types, e.description, e.status, e.disabled_reason, e.disabled_at, e.failing_since,
       (select max(s.expires_at)
          from webhook_secrets s
         where s.endpoint_id = e.id and s.expires_at > now()) as previous_secret_expires_at,
       w.created_at, greatest(w.updated_at, e.updated_at) as updated_at
  from workflows w
  join webhook_endpoints e on e.organization_id = w.organization_id and e.id = w.id
 where w.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and e.status <> 'deleting'
 order by w.id desc
 limit $2;
