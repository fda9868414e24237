select id from contacts where email_lower = $1;
