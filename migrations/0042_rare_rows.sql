-- The few suppressions of a reason, and those of a time, among very many.
create index suppressions_reason_idx on suppressions (organization_id, reason, id);
create index suppressions_created_at_idx on suppressions (organization_id, created_at, id);

-- Whether anybody else in the bin has the person of who leaves it: asked of each, when the bin is emptied.
create index deleted_contacts_person_idx on deleted_contacts (organization_id, (snapshot #>> '{contact,person_id}'))
    where snapshot #>> '{contact,person_id}' is not null;
