insert into audit_log (organization_id, id, actor_kind, actor_id, action, subject_id, details, request_id)
select organization_id, id, 'user', $3, $4, $3, $5, $6
  from unnest($1::uuid[], $2::uuid[]) as listed (organization_id, id);
