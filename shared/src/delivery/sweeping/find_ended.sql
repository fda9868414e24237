-- Campaigns in which everybody seems to have come to an end; it is looked at again behind their gates.
select c.organization_id, c.id
  from campaigns c
 where c.status = 'active'
   and not exists (select
                     from enrollments e
                    where e.organization_id = c.organization_id and e.campaign_id = c.id
                      and e.status in ('pending', 'in_progress'))
 order by c.organization_id, c.id
 limit $1;
