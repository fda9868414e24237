delete from oidc_logins where expires_at <= now();
