delete from oidc_logins
 where state_hash = $1
   and ticket_hash = $2
   and provider = $3
   and expires_at > now()
returning provider, nonce, verifier, redirect_uri, now() as now;
