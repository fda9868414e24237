update invites
   set revoked_at = $2
 where email_lower = lower($1::text collate "C")
   and accepted_at is null
   and revoked_at is null
   and expires_at <= $2;
