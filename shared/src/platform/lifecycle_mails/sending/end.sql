update lifecycle_mails
   set status = $2, ended_at = $3
 where kind = $1
   and status = 'scheduled';
