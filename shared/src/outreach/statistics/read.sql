-- One statement, so that all of it is of one moment. Messages are counted as messages and whoever has none as people;
-- whether the two add up to the people enrolled is what the caller checks.
with people as materialized (
    select count(*) as enrolled from enrollments where campaign_id = $1
), ledger as materialized (
    select step_id,
           count(*) filter (where state = 'sent') as sent,
           count(*) filter (where state = 'failed') as failed,
           count(*) filter (where state = 'unknown') as unknown,
           count(*) filter (where state = 'review') as review,
           count(*) filter (where state = 'expired') as expired,
           count(*) filter (where state = 'suppressed') as suppressed,
           count(*) filter (where state = 'cancelled') as cancelled,
           count(*) filter (where state in ('scheduled', 'sending')) as planned,
           count(*) filter (where delivered_at is not null) as delivered,
           count(*) filter (where bounced_at is not null) as bounced,
           count(*) filter (where complained_at is not null) as complained,
           count(*) filter (where replied_at is not null) as replied,
           count(*) filter (where unsubscribed_at is not null) as unsubscribed,
           -- Their contact was deleted, and the enrollment with it.
           count(*) filter (where enrollment_id is null) as orphaned
      from messages
     where campaign_id = $1
       and kind = 'campaign'
     group by step_id
), deleted as (
    -- Everybody begins with the first step, so the step with the most orphans has one of each person deleted.
    select coalesce(max(orphaned), 0) as people from ledger
), everybody as (
    select s.id as step_id, reason.name as reason, sum(e.people) as people
      from steps s
     cross join (
           select status, stop_reason, current_step, count(*) as people
             from enrollments
            where campaign_id = $1
            group by status, stop_reason, current_step) as e
     cross join lateral (
           select case when e.status = 'stopped' then e.stop_reason
                       when e.status in ('replied', 'bounced', 'unsubscribed') then e.status
                       when e.status in ('pending', 'in_progress') and e.current_step < s.position then 'pending'
                       else 'skipped'
                  end as name) as reason
     where s.campaign_id = $1
     group by s.id, reason.name
), reached as materialized (
    -- From the messages to their people by the primary key: the other way round a plan made while the ledger was small
    -- would search all of it for each person.
    select m.step_id, reason.name as reason, count(distinct m.enrollment_id) as people
      from messages m
      join enrollments e on e.organization_id = m.organization_id and e.id = m.enrollment_id
      join steps s on s.organization_id = m.organization_id and s.id = m.step_id
     cross join lateral (
           select case when e.status = 'stopped' then e.stop_reason
                       when e.status in ('replied', 'bounced', 'unsubscribed') then e.status
                       when e.status in ('pending', 'in_progress') and e.current_step < s.position then 'pending'
                       else 'skipped'
                  end as name) as reason
     where m.campaign_id = $1
       and m.kind = 'campaign'
     group by m.step_id, reason.name
), without_message as (
    select everybody.step_id, everybody.reason, everybody.people - coalesce(reached.people, 0) as people
      from everybody
      left join reached on reached.step_id = everybody.step_id and reached.reason = everybody.reason
), unreached as materialized (
    select step_id,
           sum(people) filter (where reason = 'pending') as pending,
           sum(people) filter (where reason = 'replied') as replied,
           sum(people) filter (where reason = 'bounced') as bounced,
           sum(people) filter (where reason = 'unsubscribed') as unsubscribed,
           sum(people) filter (where reason = 'complaint') as complaint,
           sum(people) filter (where reason = 'suppressed') as suppressed,
           sum(people) filter (where reason = 'address_failed') as address_failed,
           sum(people) filter (where reason = 'archived') as archived,
           sum(people) filter (where reason = 'removed') as removed,
           sum(people) filter (where reason = 'skipped') as skipped
      from without_message
     group by step_id
)
select s.id as step_id, s.position, s.name,
       people.enrolled + deleted.people as enrolled,
       coalesce(l.sent, 0) as sent,
       coalesce(l.failed, 0) as failed,
       coalesce(l.unknown, 0) as unknown,
       coalesce(l.review, 0) as review,
       coalesce(l.expired, 0) as expired,
       coalesce(l.suppressed, 0) as suppressed,
       coalesce(l.cancelled, 0) as cancelled,
       coalesce(u.replied, 0)::bigint as not_reached_replied,
       coalesce(u.bounced, 0)::bigint as not_reached_bounced,
       coalesce(u.unsubscribed, 0)::bigint as not_reached_unsubscribed,
       coalesce(u.complaint, 0)::bigint as not_reached_complaint,
       coalesce(u.suppressed, 0)::bigint as not_reached_suppressed,
       coalesce(u.address_failed, 0)::bigint as not_reached_address_failed,
       coalesce(u.archived, 0)::bigint as not_reached_archived,
       coalesce(u.removed, 0)::bigint as not_reached_removed,
       deleted.people - coalesce(l.orphaned, 0) as not_reached_contact_deleted,
       coalesce(u.skipped, 0)::bigint as not_reached_skipped,
       coalesce(u.pending, 0)::bigint + coalesce(l.planned, 0) as pending,
       coalesce(l.delivered, 0) as delivered,
       coalesce(l.bounced, 0) as bounced,
       coalesce(l.complained, 0) as complained,
       coalesce(l.replied, 0) as replied,
       coalesce(l.unsubscribed, 0) as unsubscribed
  from steps s
 cross join people
 cross join deleted
  left join ledger l on l.step_id = s.id
  left join unreached u on u.step_id = s.id
 where s.campaign_id = $1
 order by s.position;
