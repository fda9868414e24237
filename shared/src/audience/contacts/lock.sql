-- Against a key change too: whoever adds the contact to a list or a campaign waits.
select * from contacts where id = $1 for update;
