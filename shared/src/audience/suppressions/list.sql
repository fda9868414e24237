-- The largest uuid in place of no cursor keeps the comparison an index condition, whichever plan is used.
select *
  from suppressions
 where id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and ($3::text is null or reason = $3)
   and ($4::text is null or email_lower = $4 or email_hash = any ($5::bytea[]))
   and ($6::text is null or domain = $6)
   and ($7::uuid is null or campaign_id = $7)
   and ($8::uuid is null or list_id = $8)
   and ($9::text is null
        or $9 = 'campaign' and campaign_id is not null
        or $9 = 'list' and list_id is not null
        or $9 = 'organization' and campaign_id is null and list_id is null)
   and ($10::timestamptz is null or created_at >= $10)
   and ($11::timestamptz is null or created_at < $11)
 order by id desc
 limit $2;
