-- Those that work before those that fail, and of these whoever has failed for the shortest time.
select e.organization_id, e.id
  from webhook_endpoints e
 where e.status = 'enabled'
   and e.url is not null
   and exists (select
                 from webhook_deliveries d
                where d.organization_id = e.organization_id
                  and d.endpoint_id = e.id
                  and d.state = 'pending'
                  and d.next_attempt_at <= now())
 order by e.failing_since desc nulls first, e.organization_id, e.id
 limit $1;
