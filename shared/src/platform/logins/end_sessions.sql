select end_sessions_of_user($1, $2, $3);
