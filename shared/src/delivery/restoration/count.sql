update ledger_runs
   set runs = greatest(runs, $1::bigint) + 1,
       restored_at = case when $2::boolean then now() else restored_at end
returning runs;
