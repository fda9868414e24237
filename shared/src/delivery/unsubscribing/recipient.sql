select lower(recipient collate "C") as email_lower
  from messages
 where id = $1;
