-- Taken by whoever makes an endpoint or a workflow, so that the count cannot change between counting and inserting.
select id from organizations for no key update;
