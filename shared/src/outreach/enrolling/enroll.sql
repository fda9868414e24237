-- Runs after the contacts are locked, so that a suppression committed before that is seen. The senders, of whom
-- one may be there several times, take their turns by the number of people dealt out so far, which a chunk that is done again repeats.
-- Whoever is in the campaign already stays as they are.
with eligible as (
    select c.id, member.enrollment_id, member.due, row_number() over (order by c.id) as turn
      from unnest($3::uuid[], $4::uuid[], $7::timestamptz[]) as member (id, enrollment_id, due)
      join contacts c on c.id = member.id
     where not exists (
               select
                 from suppressions s
                where s.organization_id = c.organization_id and s.email_lower = c.email_lower
                  and suppression_reaches(s.campaign_id, s.list_id, $2, (select list_id from campaigns where id = $2)))
       and not exists (
               select
                 from suppressions s
                where s.organization_id = c.organization_id and s.domain = split_part(c.email_lower, '@', -1)
                  and suppression_reaches(s.campaign_id, s.list_id, $2, (select list_id from campaigns where id = $2)))
), enrolled as (
    insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, next_due_at, enrolled_at)
    select $1, enrollment_id, $2, id,
           ($5::uuid[])[1 + (($6::bigint + turn - 1) % cardinality($5::uuid[]))::int], due, $8
      from eligible
     order by turn
        on conflict on constraint enrollments_contact_key do nothing
    returning 1
)
select (select count(*) from eligible) as dealt, (select count(*) from enrolled) as enrolled;
