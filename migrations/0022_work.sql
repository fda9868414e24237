-- As before, and asked of each campaign under way and each of its senders, where an index has the answer. Asked of an
-- organization as a whole, everybody who waits for another day was read, and whoever is on the way anywhere, twice a minute.
create or replace function organizations_with_work(due_before timestamptz, sending_before timestamptz, unknown_before timestamptz)
    returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
    set enable_seqscan = off
as $$
    select o.id
      from organizations o
     -- Nothing is planned for a suspended organization, but what was on its way is still brought to an end. The limits have
     -- enrollments looked up one by one, however many rows the planner takes them for.
     where (o.status = 'active'
            and exists (select
                          from campaigns c
                          join campaign_senders s on s.organization_id = c.organization_id and s.campaign_id = c.id
                         cross join lateral (
                               select
                                 from enrollments e
                                where e.organization_id = c.organization_id and e.campaign_id = c.id and e.sender_id = s.sender_id
                                  and e.next_due_at is not null and e.next_due_at <= due_before
                                limit 1) as due
                         where c.organization_id = o.id and c.status = 'active'))
        or exists (select from messages m
                    where m.organization_id = o.id and m.state = 'scheduled' and m.slot_day is not null
                      and m.enqueue_again_at <= now())
        or exists (select from messages m
                    where m.organization_id = o.id and m.state = 'sending' and m.attempted_at < sending_before)
        or exists (select from messages m
                    where m.organization_id = o.id and m.state = 'unknown' and m.attempted_at < unknown_before)
        or exists (select from campaigns c
                    where c.organization_id = o.id and c.status = 'active'
                      and (select e.id
                             from enrollments e
                            where e.organization_id = c.organization_id and e.campaign_id = c.id
                              and e.status in ('pending', 'in_progress')
                            limit 1) is null)
$$;
