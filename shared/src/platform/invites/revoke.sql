update invites
   set revoked_at = $2
 where id = $1
returning *;
