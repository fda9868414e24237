-- Skips what a sender has locked. Returns the slot as it was: this is the statement that gives it up.
with queued as (
    select m.organization_id, m.id, m.campaign_id, m.sender_id, m.contact_id, m.recipient, m.slot_day,
           m.slot_domain, m.slot_counts_recipient_domain, m.slot_counts_person, m.send_at
      from messages m
      join unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
        on k.organization_id = m.organization_id and k.id = m.enrollment_id
     where m.state = 'scheduled'
     order by m.organization_id, m.id
       for update of m skip locked
), cancelled as (
    update messages m
       set state = 'cancelled', slot_day = null, enqueue_again_at = null, outcome_code = $3
      from queued q
     where m.organization_id = q.organization_id and m.id = q.id
    returning m.id
)
select q.* from queued q join cancelled c on c.id = q.id;
