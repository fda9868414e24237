insert into jobs (organization_id, id, kind, subject_id, input, total)
values ($1, $2, $3, $2, $4, $5)
returning *;
