-- Against a key change too: whoever adds one of them to a list or a campaign waits.
select id from contacts where id = any ($1::uuid[]) order by id for update;
