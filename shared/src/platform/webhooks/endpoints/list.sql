select e.*,
       (select max(s.expires_at)
          from webhook_secrets s
         where s.endpoint_id = e.id and s.expires_at > now()) as previous_secret_expires_at
  from webhook_endpoints e
 where e.kind = 'webhook'
   and e.status <> 'deleting'
   and e.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
 order by e.id desc
 limit $2;
