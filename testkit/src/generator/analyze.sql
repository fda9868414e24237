analyze contacts, persons, contact_tags, list_members, custom_values, email_verifications, messages, message_events, engagements;
