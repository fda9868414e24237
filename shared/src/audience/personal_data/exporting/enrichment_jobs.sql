select *, id as place_id, 0::bigint as place_line
  from enrichment_jobs
 where names_person(selection::text, $3)
   and id > $1
 order by id
 limit $2;
