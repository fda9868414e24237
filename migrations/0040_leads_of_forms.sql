-- Who came through a form, the newest first.
create index leads_form_idx on leads (organization_id, lead_form_id, id);
