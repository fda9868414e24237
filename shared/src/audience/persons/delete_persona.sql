delete from personas where person_id = $1;
