select w.id as workflow_id, extract(epoch from now())::bigint as unix_now
  from workflow_runs r
  left join webhook_endpoints w on w.organization_id = r.organization_id and w.id = r.workflow_id and w.status <> 'deleting'
 where r.id = $1;
