-- Two requests that each make the last key that is allowed wait for each other here; what refers to the organization
-- does not wait.
select id from organizations for no key update;
