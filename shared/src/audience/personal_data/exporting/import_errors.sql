select *, import_batch_id as place_id, line as place_line
  from import_errors
 where (import_batch_id, line) > ($1, $3::bigint)
   and (names_person(raw, $4) or names_person(reason, $4))
 order by import_batch_id, line
 limit $2;
