-- The gate is closed: nobody is enrolled, and nobody pauses or archives it, between this statement and the commit. Everybody has
-- come to an end, one way or another: pending is 0.
update campaigns c
   set status = 'completed', completed_at = $2
 where c.id = $1
   and c.status = 'active'
   and not exists (select
                     from enrollments e
                    where e.organization_id = c.organization_id and e.campaign_id = c.id
                      and e.status in ('pending', 'in_progress'));
