select status, count(*) as addresses
  from email_verifications
 group by status;
