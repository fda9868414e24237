insert into admin_log (id, actor_kind, actor_id, action, subject_id, details, request_id)
values ($1, $2, $3, $4, $5, $6, $7);
