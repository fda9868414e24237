insert into invites (organization_id, id, email, role, invited_by, expires_at)
values ($1, $2, $3, $4, $5, $6)
returning *;
