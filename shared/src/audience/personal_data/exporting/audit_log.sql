-- Each half is found by its own index.
select *, id as place_id, 0::bigint as place_line
  from audit_log
 where id = any (array(select id from audit_log where subject_id = any ($3::uuid[])
                        union
                       select id from audit_log where details ? 'contact_id' and details ->> 'contact_id' = $4))
   and id > $1
 order by id
 limit $2;
