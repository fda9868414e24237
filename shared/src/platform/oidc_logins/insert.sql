insert into oidc_logins (state_hash, ticket_hash, provider, nonce, verifier, redirect_uri, expires_at)
values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7));
