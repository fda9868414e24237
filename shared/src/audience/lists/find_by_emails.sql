select id, email_lower from contacts where email_lower = any ($1::text[]);
