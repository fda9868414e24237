-- In the order given, which is the same for everybody: two who suppress the same addresses never wait in a circle.
insert into suppressions as s (organization_id, id, email_lower, email_hash, hash_key, domain, campaign_id, list_id, reason, note)
select $1, k.*
  from unnest($2::uuid[], $3::text[], $4::bytea[], $5::smallint[], $6::text[], $7::uuid[], $8::uuid[], $9::text[], $10::text[]) as k
    on conflict on constraint suppressions_email_key
    do update set reason = excluded.reason, message_id = null
        where suppression_gravity(excluded.reason) > suppression_gravity(s.reason)
returning xmax = 0 as is_new;
