-- A trigger adds the settings, so that no campaign is ever without.
insert into campaigns (organization_id, id, name, description, strategy, summary, cta_url, list_id, segment_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
returning *;
