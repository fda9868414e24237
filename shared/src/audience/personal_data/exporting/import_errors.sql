select *, import_batch_id as place_id, line as place_line
  from import_errors
 where (import_batch_id, line) > ($1, $3::bigint)
   and (raw ~* $4 or reason ~* $4)
 order by import_batch_id, line
 limit $2;
