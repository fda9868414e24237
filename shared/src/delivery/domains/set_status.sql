update domains
   set status = $2,
       dns_records = $3,
       checked_at = $4,
       verified_at = case when $2 <> 'verified' then null
                          when status = 'verified' then verified_at
                          else $4 end
 where id = $1
returning *;
