-- Acts of one transaction have one time; their ids keep them in order.
select *
  from audit_log
 where ($1::timestamptz is null or (created_at, id) < ($1, $2::uuid))
   and ($3::uuid is null or actor_id = $3)
   and ($4::text is null or action = $4)
   and ($5::uuid is null or subject_id = $5)
   and ($6::timestamptz is null or created_at >= $6)
   and ($7::timestamptz is null or created_at < $7)
 order by created_at desc, id desc
 limit $8;
