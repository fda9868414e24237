-- Messages planned in one transaction have one time; their ids keep them in order.
select *
  from messages
 where ($1::timestamptz is null or (created_at, id) < ($1, $2::uuid))
   and ($3::uuid is null or campaign_id = $3)
   and ($4::uuid is null or step_id = $4)
   and ($5::uuid is null or enrollment_id = $5)
   and ($6::uuid is null or contact_id = $6)
   and ($7::uuid is null or sender_id = $7)
   and ($8::text is null or kind = $8)
   and ($9::text is null or state = $9)
   and ($10::timestamptz is null or created_at >= $10)
   and ($11::timestamptz is null or created_at < $11)
   and ($13::bool is null or (skipped_at is not null) = $13)
 order by created_at desc, id desc
 limit $12;
