select * from api_keys where id = $1 for no key update;
