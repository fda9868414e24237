-- What nobody has computed yet is the health that a sender begins with.
select s.*,
       coalesce(h.score, 100) as health_score, h.sends as health_sends, h.hard_bounces as health_hard_bounces,
       h.complaints as health_complaints, h.replies as health_replies, h.computed_at as health_computed_at
  from senders s
  left join sender_health h on h.organization_id = s.organization_id and h.sender_id = s.id
 where s.id = $1;
