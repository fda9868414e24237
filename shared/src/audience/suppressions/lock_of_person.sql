-- By the address, by its hashes ($2), and what the person's messages ($3) have suppressed under an address of before.
select id
  from suppressions
 where email_lower = $1
    or email_hash = any ($2::bytea[])
    or message_id = any ($3::uuid[])
 order by id
   for update;
