-- As long as the password is the one that was checked: of a change and a reset at once, what came first counts.
update users
   set password_hash = $3
 where id = $1
   and password_hash = $2;
