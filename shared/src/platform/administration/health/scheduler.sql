-- A ledger may be confirmed for ever, as in a test.
select runs,
       case when isfinite(confirmed_at) then confirmed_at end as last_run_at,
       restored_at
  from ledger_runs;
