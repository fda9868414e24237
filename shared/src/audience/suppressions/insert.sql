insert into suppressions as s (organization_id, id, email_lower, campaign_id, reason, message_id)
values ($1, $2, $3, $4, $5, $6)
    on conflict on constraint suppressions_email_key
    do update set reason = excluded.reason, message_id = excluded.message_id
        where suppression_gravity(excluded.reason) > suppression_gravity(s.reason)
returning xmax = 0 as is_new;
