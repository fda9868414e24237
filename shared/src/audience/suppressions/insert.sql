insert into suppressions (organization_id, id, email_lower, campaign_id, reason, message_id)
values ($1, $2, $3, $4, $5, $6)
    on conflict on constraint suppressions_email_key do nothing;
