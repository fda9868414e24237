update lifecycle_mails
   set status = 'cancelled', ended_at = $2
 where kind = any ($1::text[])
   and status = 'scheduled';
