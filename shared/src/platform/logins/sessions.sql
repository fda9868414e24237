select * from sessions_of_user($1);
