with made as (
    insert into lead_forms (organization_id, id, name, key) values ($1, $2, $3, $4)
    returning organization_id, id
)
insert into lead_form_usage (organization_id, lead_form_id) select organization_id, id from made;
