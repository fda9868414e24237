insert into email_verifications (organization_id, email_lower, syntax, disposable, role_based, deliverable, blacklisted, status,
                                 reason, checked_at)
select $1, f.email, f.syntax, f.disposable, f.role_based, f.deliverable, f.blacklisted, f.status, f.reason, $10
  from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
           as f (email, syntax, disposable, role_based, deliverable, blacklisted, status, reason)
  join contacts c on c.email_lower = f.email
 order by f.email
    on conflict (organization_id, email_lower) do update
   set syntax = excluded.syntax,
       disposable = excluded.disposable,
       role_based = excluded.role_based,
       deliverable = excluded.deliverable,
       blacklisted = excluded.blacklisted,
       status = excluded.status,
       reason = excluded.reason,
       checked_at = excluded.checked_at;
