with due as materialized (
    select d.organization_id, d.id
      from webhook_deliveries d
     where d.organization_id = $1
       and d.endpoint_id = $2
       and d.state = 'pending'
       and d.next_attempt_at <= now()
     order by d.next_attempt_at, d.id
     limit $3
       for update skip locked
), claimed as (
    update webhook_deliveries d
       set attempts = d.attempts + 1,
           attempted_at = now(),
           next_attempt_at = now() + make_interval(secs => $4)
      from due
     where d.organization_id = due.organization_id
       and d.id = due.id
    returning d.organization_id, d.id, d.event_id, d.endpoint_id, d.attempts, d.attempted_at
)
select c.id, c.event_id, c.attempts, c.attempted_at, e.url, v.type, v.occurred_at, v.data, r.id as run_id, r.execution_id
  from claimed c
  join webhook_endpoints e on e.organization_id = c.organization_id and e.id = c.endpoint_id
  join webhook_events v on v.organization_id = c.organization_id and v.id = c.event_id
  left join workflow_runs r
    on r.organization_id = c.organization_id and r.event_id = c.event_id and r.workflow_id = c.endpoint_id
 where e.status = 'enabled'
   and e.url is not null
   and v.erased_at is null
 order by c.id;
