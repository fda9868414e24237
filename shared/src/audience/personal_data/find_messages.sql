-- Also those to the address whose contact is gone or has another address now, and those to an address it had before.
select id from messages where contact_id = $1
union
select id from messages where recipient_lower = $2
 order by id;
