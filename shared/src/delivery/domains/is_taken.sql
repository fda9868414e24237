-- The only question about other tenants that there is; it also waits for others who verify this name.
select domain_is_taken($1, $2) as is_taken;
