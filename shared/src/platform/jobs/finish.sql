update jobs
   set state = case when $2::text is null then 'completed' else 'failed' end,
       error = $2,
       completed_at = $3
 where id = $1;
