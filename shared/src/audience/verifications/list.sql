select *
  from email_verifications
 where $1::text is null or email_lower > $1
 order by email_lower
 limit $2;
