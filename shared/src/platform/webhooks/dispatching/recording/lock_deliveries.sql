-- What is erased of a person is erased of what was answered as well: whoever is at it is waited for.
select from webhook_deliveries where organization_id = $1 and id = any ($2::uuid[]) order by id for update;
