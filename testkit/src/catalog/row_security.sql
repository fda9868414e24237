-- Without FORCE the owner, and every function that runs with its rights, would see all tenants by accident.
select format('%s: row-level security is not enabled', relname) from tenant_tables where not relrowsecurity
union all
select format('%s: row-level security is not forced', relname) from tenant_tables where not relforcerowsecurity
