insert into email_verifications (organization_id, email_lower, syntax, disposable, role_based, deliverable, blacklisted, status, reason, checked_at)
select g.organization_id, lower(p.email collate "C"), 'passed', 'passed', 'passed',
       case v.status when 'valid' then 'passed' when 'invalid' then 'failed' else 'unknown' end, 'passed', v.status,
       case v.status when 'valid' then null else 'deliverable' end, greatest(p.created_at, g.at - interval '60 days')
  from generating g
 cross join generated_people p
 cross join lateral (
       select case when d.drawn < 0.7 then 'valid' when d.drawn < 0.78 then 'invalid' else 'unverified' end as status
         from (select pg_temp.draw(g.seed, 'verified', p.n) as drawn) as d) as v
 where pg_temp.draw(g.seed, 'verified?', p.n) < 0.6;
