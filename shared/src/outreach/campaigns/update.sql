update campaigns
   set name = $2,
       description = $3,
       strategy = $4,
       summary = $5,
       cta_url = $6,
       list_id = $7,
       segment_id = $8
 where id = $1
returning *;
