with contact as (
    insert into bare_contacts as stored (organization_id, id, email, first_name, last_name, company, custom, raw_data,
                                         import_batch_id, source)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'import')
        on conflict (organization_id, email_lower)
        do update set first_name = excluded.first_name,
                      last_name = excluded.last_name,
                      company = excluded.company,
                      custom = excluded.custom,
                      raw_data = excluded.raw_data,
                      updated_at = now()
    returning id
)
insert into bare_list_members (organization_id, list_id, contact_id)
select $1, $10, contact.id
  from contact
    on conflict (organization_id, list_id, contact_id) do update set added_at = now();
