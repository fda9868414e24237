-- A missing campaign means the whole organization, and only that.
select *
  from suppressions
 where email_lower = $1
   and campaign_id is not distinct from $2;
