-- Nothing is inserted, and no row returned, while the same work is unfinished.
insert into jobs (organization_id, id, kind, subject_id, total)
values ($1, $2, $3, $4, $5)
on conflict (organization_id, kind, subject_id) where state in ('pending', 'running') do nothing
returning *;
