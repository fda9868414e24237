insert into verification_jobs (organization_id, id, selection, again, up_to, total, started_at)
values ($1, $2, $3, $4, $5, $6, $7)
returning *;
