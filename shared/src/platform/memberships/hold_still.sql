-- Whoever changes members, invites or keys of the organization waits here for whoever else does; what only refers to it does not wait.
select id from organizations for no key update;
