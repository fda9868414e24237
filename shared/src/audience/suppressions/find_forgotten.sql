-- The hashes are those of one address under each key of the ring.
select *
  from suppressions
 where email_hash = any ($1::bytea[])
   and campaign_id is not distinct from $2
   and list_id is not distinct from $3
 order by id
 limit 1;
