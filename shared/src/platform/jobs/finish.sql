-- What it was asked for is not kept: a filter may name somebody.
update jobs
   set state = case when $2::text is null then 'completed' else 'failed' end,
       input = '{}',
       error = $2,
       completed_at = $3
 where id = $1;
