with kept as (
    insert into audience_snapshots (organization_id, campaign_id, contact_id)
    select $1, $2, c.id
      from contacts c /* by id */
     where true /* who */
     order by c.id
    returning 1
)
select count(*) as people from kept;
