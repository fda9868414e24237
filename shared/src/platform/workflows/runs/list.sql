select *
  from workflow_runs
 where id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and ($2::uuid is null or workflow_id = $2)
   and ($3::text is null or status = $3)
   and ($4::text is null or trigger_source = $4)
   and ($5::text is null or execution_id = $5)
   and ($6::timestamptz is null or started_at >= $6)
   and ($7::timestamptz is null or started_at < $7)
 order by id desc
 limit $8;
