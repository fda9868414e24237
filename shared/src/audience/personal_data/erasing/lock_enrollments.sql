-- Those that are over as well: they go with the contact.
select from enrollments where contact_id = $1 order by id for update;
