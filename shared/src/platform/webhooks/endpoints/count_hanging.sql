-- No more of them are counted than matter.
select (select count(*) from (select from webhook_deliveries where endpoint_id = $1 limit $2) as deliveries)
           + (select count(*) from (select from workflow_runs where workflow_id = $1 limit $2) as runs);
