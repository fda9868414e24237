select id from lead_forms where id = $1 for no key update;
