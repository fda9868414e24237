insert into provider_usage (organization_id, purpose, day)
values ($1, $2, $3)
on conflict do nothing;
