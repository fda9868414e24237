update invites
   set accepted_at = $3,
       accepted_by = $2
 where id = $1;
