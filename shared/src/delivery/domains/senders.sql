select id from senders where domain_id = $1;
