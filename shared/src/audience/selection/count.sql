select count(*) as contacts from contacts where id <= $1;
