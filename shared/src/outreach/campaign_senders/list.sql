select s.id, s.email, s.display_name, s.status, s.daily_limit, s.gap_seconds,
       d.name as domain, d.status = 'verified' as domain_verified, cs.weight, coalesce(h.score, 100) as health_score, s.timezone
  from campaign_senders cs
  join senders s on s.organization_id = cs.organization_id and s.id = cs.sender_id
  join domains d on d.organization_id = s.organization_id and d.id = s.domain_id
  left join sender_health h on h.organization_id = s.organization_id and h.sender_id = s.id
 where cs.campaign_id = $1
 order by s.id;
