insert into enrichment_jobs (organization_id, id, selection, with_persona, again, up_to, started_at)
values ($1, $2, $3, $4, $5, $6, $7)
returning *;
