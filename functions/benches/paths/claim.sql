-- The least that a claim is: one sender's due people, oldest first, marked, and a message for each.
with due as (
    select e.organization_id, e.id, e.contact_id, gen_random_uuid() as message_id
      from enrollments e
     where e.organization_id = $1 and e.campaign_id = $2 and e.sender_id = $3
       and e.next_due_at is not null and e.next_due_at <= clock_now()
     order by e.next_due_at, e.id
     limit $5
       for update skip locked
), written as (
    insert into messages (organization_id, id, dedupe_key, enrollment_id, campaign_id, step_id, contact_id, sender_id,
                          recipient, slot_day, send_at, expires_at, enqueue_again_at)
    select d.organization_id, d.message_id, d.id || ':' || $4::uuid, d.id, $2, $4, d.contact_id, $3, c.email,
           clock_now()::date, clock_now(), clock_now() + interval '1 day', now() + interval '5 minutes'
      from due d
      join contacts c on c.organization_id = d.organization_id and c.id = d.contact_id
)
update enrollments e
   set waiting_message_id = d.message_id,
       next_due_at = null
  from due d
 where e.organization_id = d.organization_id
   and e.id = d.id
returning e.organization_id, d.message_id;
