select invite_is_for($1, $2);
