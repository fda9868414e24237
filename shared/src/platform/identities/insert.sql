-- Two logins at once: the first has linked it, to the same account.
insert into identities (issuer, subject, user_id)
values ($1, $2, $3)
    on conflict on constraint identities_pkey do nothing;
