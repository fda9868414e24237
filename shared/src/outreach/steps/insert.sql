insert into steps (
       organization_id, id, campaign_id, position, name, subject_template, body_template, delay_days, delay_hours, timing,
       start_offset_ms)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
returning *;
