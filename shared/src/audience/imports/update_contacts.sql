-- Status, address and origin stay as they are.
update contacts
   set name = changed.name,
       first_name = changed.first_name,
       last_name = changed.last_name,
       company = changed.company,
       timezone = changed.timezone,
       custom = changed.custom::jsonb,
       raw_data = changed.raw_data::jsonb
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
       as changed (id, name, first_name, last_name, company, timezone, custom, raw_data)
 where contacts.id = changed.id;
