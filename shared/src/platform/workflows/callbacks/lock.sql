select status, callback_id from workflow_runs where id = $1 for update;
