insert into leads (organization_id, id, lead_form_id, form_name, contact_id, received_at, consent_text, origin, page_url, network_hash)
select d.organization_id, l.id, l.lead_form_id, l.form_name, $2, l.received_at, l.consent_text, l.origin, l.page_url, l.network_hash
  from deleted_contacts d
 cross join lateral jsonb_populate_recordset(null::leads, d.snapshot -> 'leads') as l
 where d.id = $1
 order by l.id
    -- A contact that comes back from a merge takes its own along again.
    on conflict on constraint leads_pkey do update set contact_id = excluded.contact_id;
