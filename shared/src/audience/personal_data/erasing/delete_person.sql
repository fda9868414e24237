delete from persons where id = (select person_id from contacts where id = $1);
