select line, code, reason, raw
  from import_errors
 where import_batch_id = $1
   and line > $2
 order by line
 limit $3;
