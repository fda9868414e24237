select e.id
  from enrollments e
 where e.contact_id = $1
   and e.status in ('pending', 'in_progress')
   and exists (select
                 from deleted_contacts d
                cross join lateral jsonb_populate_recordset(null::enrollments, d.snapshot -> 'enrollments') as o
                where d.id = any ($2::uuid[])
                  and o.campaign_id = e.campaign_id
                  and o.current_step > e.current_step)
 order by e.id;
