-- The latest mails of each, and of these the ones since a person last let it go on: what was reason for an earlier pause is none
-- for another. Read from the end of an index, as many as count and not more.
select c.organization_id, c.id,
       w.sends, w.hard_bounces, w.complaints, w.replies,
       w.judged_sends, w.judged_hard_bounces, w.judged_complaints, w.judged_replies
  from campaigns c
 cross join lateral (
       select count(*) as sends,
              count(l.bounced_at) as hard_bounces,
              count(l.complained_at) as complaints,
              count(l.replied_at) as replies,
              count(*) filter (where l.is_judged) as judged_sends,
              count(l.bounced_at) filter (where l.is_judged) as judged_hard_bounces,
              count(l.complained_at) filter (where l.is_judged) as judged_complaints,
              count(l.replied_at) filter (where l.is_judged) as judged_replies
         from (select m.bounced_at, m.complained_at, m.replied_at,
                      c.resumed_at is null or m.sent_at > c.resumed_at as is_judged
                 from messages m
                where m.organization_id = c.organization_id
                  and m.campaign_id = c.id
                  and m.state = 'sent'
                  and m.sent_at > $1
                order by m.sent_at desc
                limit $2) as l) as w
 where c.status in ('active')
   and ($3::uuid is null or c.id = $3)
 order by c.organization_id, c.id;
