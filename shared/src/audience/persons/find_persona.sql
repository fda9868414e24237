select text, model from personas where person_id = $1;
