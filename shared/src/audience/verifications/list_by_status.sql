select *
  from email_verifications
 where status = $1
   and ($2::text is null or email_lower > $2)
 order by email_lower
 limit $3;
