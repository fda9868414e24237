-- No row where this is not the database any more that was compared with the memory ($1): another came in its place meanwhile.
update ledger_runs
   set runs = greatest(runs, $1::bigint) + 1,
       restored_at = case when $2::boolean then now() else restored_at end,
       lost_since = case when $2::boolean then confirmed_at else lost_since end
 where $2::boolean
    or runs >= $1::bigint
returning runs;
