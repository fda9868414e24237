-- No key changes, so that references to the list are not held up.
select id from lists where id = $1 for no key update;
