-- In the order of the unique key of campaign and contact, which is an index that a page can be read from.
select e.id, e.contact_id, c.email, e.sender_id, e.status, e.stop_reason, e.current_step, e.next_due_at,
       e.waiting_message_id, e.enrolled_at, e.completed_at, e.replied_at, e.last_sent_at
  from enrollments e
  join contacts c on c.organization_id = e.organization_id and c.id = e.contact_id
 where e.campaign_id = $1
   and ($2::text is null or e.status = $2)
   and e.contact_id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
 order by e.contact_id desc
 limit $4;
