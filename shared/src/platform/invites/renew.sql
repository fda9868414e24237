update invites
   set expires_at = $2,
       mails = mails + 1
 where id = $1
returning *;
