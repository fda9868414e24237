select *
  from messages
 where ($1::uuid is null or campaign_id = $1)
   and ($2::uuid is null or contact_id = $2)
   and ($3::text is null or state = $3)
   and ($4::uuid is null or id < $4)
 order by id desc
 limit $5;
