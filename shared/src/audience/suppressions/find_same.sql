-- A missing campaign and list mean the whole organization, and only that.
select *
  from suppressions
 where (email_lower = $1 or domain = $2)
   and campaign_id is not distinct from $3
   and list_id is not distinct from $4;
