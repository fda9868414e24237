insert into lifecycle_mails (organization_id, kind, send_at)
select $1, kind, send_at from unnest($2::text[], $3::timestamptz[]) as mail (kind, send_at)
    on conflict on constraint lifecycle_mails_pkey do nothing;
