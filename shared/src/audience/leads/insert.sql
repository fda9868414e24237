-- Whoever sends the same form twice within an hour has come once, so that nobody heaps up rows about somebody else's address. The contact
-- is locked, so nobody else says so at this moment.
insert into leads (organization_id, id, lead_form_id, form_name, contact_id, received_at, consent_text, origin, page_url, network_hash)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
 where not exists (select
                     from leads l
                    where l.contact_id = $5
                      and l.lead_form_id = $3
                      and l.consent_text is not distinct from $7
                      and l.received_at > $6::timestamptz - interval '1 hour');
