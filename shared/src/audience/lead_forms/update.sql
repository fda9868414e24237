update lead_forms
   set name = coalesce($2, name),
       is_enabled = coalesce($3, is_enabled),
       allowed_origins = coalesce($4, allowed_origins),
       fields = coalesce($5, fields),
       unknown_fields = coalesce($6, unknown_fields),
       consent_text = case when $7 then $8 else consent_text end,
       honeypot_field = case when $9 then $10 else honeypot_field end,
       thank_you_url = case when $11 then $12 else thank_you_url end,
       minute_limit = coalesce($13, minute_limit),
       day_limit = coalesce($14, day_limit)
 where id = $1;
