-- The largest uuid in place of no cursor keeps the comparison an index condition, whichever plan is used.
select *
  from suppressions
 where id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and ($3::text is null or reason = $3)
   and ($4::text is null or email_lower = $4 or email_hash = any ($5::bytea[]))
   and ($6::uuid is null or campaign_id = $6)
   and ($7::boolean is null or (campaign_id is null) = $7)
   and ($8::timestamptz is null or created_at >= $8)
   and ($9::timestamptz is null or created_at < $9)
 order by id desc
 limit $2;
