-- In the order of the addresses, which is that of the arrays: whoever makes one of them meanwhile is waited for, and then it
-- fails. Nothing else must be done on the way, since this is what an import's time is spent on.
insert into contacts (organization_id, id, email, name, first_name, last_name, company, timezone, custom, raw_data,
                      import_batch_id, source)
select $1, id, email, name, first_name, last_name, company, timezone, custom::jsonb, raw_data::jsonb, $2, 'import'
  from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
       as made (id, email, name, first_name, last_name, company, timezone, custom, raw_data);
