select count(*) as fields from custom_fields;
