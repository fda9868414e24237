select end_sessions_of_user($1);
