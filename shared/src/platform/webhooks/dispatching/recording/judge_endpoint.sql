-- The caller has locked it. Whoever has failed for long enough is disabled when a delivery has used up its attempts: one failure long
-- ago says nothing of the first one since.
with judged as (
    select e.organization_id, e.id,
           case when $4 then null
                when $5 then coalesce(e.failing_since, now())
                else e.failing_since end as failing_since
      from webhook_endpoints e
     where e.organization_id = $1
       and e.id = $2
), decided as (
    select j.*,
           case when $3 then 'gone'
                when $6 and j.failing_since <= now() - make_interval(secs => $7) then 'failing' end as reason
      from judged j
), changed as (
    update webhook_endpoints e
       set failing_since = d.failing_since,
           -- One that is being deleted stays so.
           status = case when d.reason is not null and e.status = 'enabled' then 'disabled' else e.status end,
           disabled_reason = case when d.reason is not null and e.status = 'enabled' then d.reason else e.disabled_reason end,
           disabled_at = case when d.reason is not null and e.status = 'enabled' then now() else e.disabled_at end
      from decided d
     where e.organization_id = d.organization_id
       and e.id = d.id
       and (e.failing_since is distinct from d.failing_since or (d.reason is not null and e.status = 'enabled'))
    returning e.id
)
-- As it was before this statement, and what it has done.
select case when e.status = 'enabled' and exists (select from changed) then d.reason end as newly_disabled,
       e.status = 'enabled' and d.reason is null as is_enabled
  from decided d
  join webhook_endpoints e on e.organization_id = d.organization_id and e.id = d.id;
