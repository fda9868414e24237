-- For each pair no more people than it has slots. Where the batch is smaller than all of them together, every
-- organization's first come before any organization's second.
select enrollment_id, contact_id
  from (select k.organization_id, e.id as enrollment_id, e.contact_id, e.next_due_at,
               row_number() over (partition by k.organization_id order by e.next_due_at, e.id) as turn
          from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) as k (organization_id, campaign_id, sender_id, free)
         cross join lateral (
               select id, contact_id, next_due_at
                 from enrollments e
                where e.organization_id = k.organization_id and e.campaign_id = k.campaign_id
                  and e.sender_id = k.sender_id and e.next_due_at is not null and e.next_due_at <= $5
                order by e.next_due_at, e.id
                limit k.free) e) as due
 order by turn, next_due_at, enrollment_id
 limit $6;
