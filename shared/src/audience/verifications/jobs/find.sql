select * from verification_jobs where id = $1;
