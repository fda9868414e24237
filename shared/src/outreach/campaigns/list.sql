select *
  from campaigns
 where ($1::text is null or status = $1)
   and ($2::uuid is null or id < $2)
 order by id desc
 limit $3;
