-- The function sees all tenants and tells nothing but who has work. The other two instants are machine time that only
-- the sweeper asks about.
select organizations_with_work($1, '-infinity', '-infinity');
