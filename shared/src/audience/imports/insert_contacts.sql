-- In the order of the addresses. Whoever made one of them meanwhile is waited for, and the address is not returned.
insert into contacts (organization_id, id, email, name, first_name, last_name, company, timezone, custom, raw_data,
                      import_batch_id, source)
select $1, id, email, name, first_name, last_name, company, timezone, custom, raw_data::jsonb, $2, 'import'
  from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::jsonb[], $11::text[])
       with ordinality
       as made (id, email, name, first_name, last_name, company, timezone, custom, raw_data, n)
 order by n
    on conflict (organization_id, email_lower) do nothing
returning email_lower;
