-- The function sees all tenants and tells nothing but who has anything to examine.
select organizations_to_examine();
