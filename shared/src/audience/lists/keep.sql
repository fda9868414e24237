-- Shared by those who add members, against those who delete the list.
select id from lists where id = $1 for key share;
