select organizations_with_runs_to_end($1, $2);
