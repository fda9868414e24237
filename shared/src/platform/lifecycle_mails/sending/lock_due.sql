-- Another scheduler takes none of these meanwhile, and whoever takes one back waits.
select kind, send_at
  from lifecycle_mails
 where status = 'scheduled'
   and send_at <= $1
 order by send_at, kind
   for update;
