select * from api_keys where id = $1;
