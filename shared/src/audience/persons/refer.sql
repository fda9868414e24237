update contacts set person_id = $2 where id = $1;
