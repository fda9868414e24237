select *
  from email_verifications
 where email_lower = $1
   and ($2::text is null or status = $2)
   and ($3::text is null or email_lower > $3)
 limit $4;
