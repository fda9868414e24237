-- Campaigns that are over, of which the last one ended some days ago, and what people did with their mails.
insert into campaigns (organization_id, id, name, status, started_at, completed_at, created_at)
select g.organization_id, pg_temp.id_at(g.seed, 'campaign', c.n, g.at - c.n * interval '40 days'), 'Campaign ' || c.n, 'completed',
       g.at - c.n * interval '40 days', g.at - c.n * interval '40 days' + interval '36 days', g.at - c.n * interval '40 days'
  from generating g
 cross join generate_series(1, 8) as c (n);

insert into steps (organization_id, id, campaign_id, position, name, subject_template, body_template)
select c.organization_id, pg_temp.id_at(g.seed, 'step', 0, c.created_at), c.id, 1, 'First', 'Hello', 'A word.'
  from generating g
  join campaigns c on c.organization_id = g.organization_id;

create temporary table generated_mails on commit drop as
select distinct on (c.id, p.id)
       c.id as campaign_id, s.id as step_id, p.id as contact_id, p.email, p.n,
       c.started_at + pg_temp.draw(g.seed, c.name, p.n) * interval '35 days' as sent_at,
       pg_temp.id_at(g.seed, c.name, p.n, c.started_at) as id,
       pg_temp.draw(g.seed, c.name || ' opened', p.n) as opened, pg_temp.draw(g.seed, c.name || ' clicked', p.n) as clicked,
       pg_temp.draw(g.seed, c.name || ' replied', p.n) as replied, pg_temp.draw(g.seed, c.name || ' later', p.n) as later
  from generating g
  join campaigns c on c.organization_id = g.organization_id
  join steps s on s.organization_id = c.organization_id and s.campaign_id = c.id
 cross join lateral generate_series(1, (g.people * 0.05)::bigint) as drawn (n)
  join generated_people p on p.n = 1 + floor(g.people * pg_temp.draw(g.seed, c.name || ' to', drawn.n))::bigint;

insert into messages (organization_id, id, kind, dedupe_key, campaign_id, step_id, contact_id, sender_id, recipient, state, slot_day, send_at,
                      expires_at, sent_at, delivered_at, opened_at, clicked_at, replied_at, created_at)
select g.organization_id, m.id, 'campaign', 'generated:' || m.id, m.campaign_id, m.step_id, m.contact_id,
       pg_temp.id_at(g.seed, 'sender', 1 + m.n % 3, g.at - interval '2 years'), m.email, 'sent', m.sent_at::date, m.sent_at,
       m.sent_at + interval '4 hours', m.sent_at, m.sent_at + interval '3 seconds',
       case when m.opened < 0.25 then m.sent_at + m.later * interval '2 days' end,
       case when m.clicked < 0.05 then m.sent_at + m.later * interval '2 days' end,
       case when m.replied < 0.02 then m.sent_at + m.later * interval '3 days' end, m.sent_at
  from generating g
 cross join generated_mails m;

-- A machine opens a third of the mails as they come; some people come back weeks later.
insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at, is_machine)
select g.organization_id, pg_temp.id_at(g.seed, e.kind || e.number, m.n, m.sent_at), m.id, e.kind, e.kind || e.number,
       least(e.occurred_at, g.at), e.is_machine
  from generating g
 cross join generated_mails m
 cross join lateral (
       values ('delivered', 1, true, m.sent_at + interval '3 seconds', false),
              ('opened', 1, m.later < 0.33, m.sent_at + interval '5 seconds', true),
              ('opened', 2, m.opened < 0.25, m.sent_at + m.later * interval '2 days', false),
              ('opened', 3, m.opened < 0.04, m.sent_at + m.later * interval '60 days', false),
              ('clicked', 1, m.clicked < 0.05, m.sent_at + m.later * interval '2 days', false),
              ('replied', 1, m.replied < 0.02, m.sent_at + m.later * interval '3 days', false)
       ) as e (kind, number, has_happened, occurred_at, is_machine)
 where e.has_happened;
