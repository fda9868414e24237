-- What a person decides about mail in doubt, how a sender's volume grows, and how healthy senders and campaigns are.

-- When a person chose to go on without knowing what became of a mail, and when one last had it sent again.
alter table messages
    add column skipped_at timestamptz,
    add column resent_at timestamptz;

-- Both choices stand among the events of the message.
alter table message_events
    drop constraint message_events_kind_check,
    add constraint message_events_kind_check check (kind in (
        'sent', 'delivered', 'bounced', 'soft_bounced', 'complained', 'not_spam', 'rejected', 'delayed',
        'rendering_failed', 'subscription_changed', 'opened', 'clicked', 'replied', 'auto_replied', 'unsubscribed',
        'skipped', 'resent'));

-- As before, without the mails that a person has decided to leave in doubt: nobody waits for these.
create or replace function oldest_unresolved_seconds() returns bigint
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select coalesce(max(extract(epoch from now() - least(unknown.attempted_at, review.attempted_at)))::bigint, 0)
      from organizations o
      left join lateral (
           select m.attempted_at
             from messages m
            where m.organization_id = o.id and m.state = 'unknown' and m.skipped_at is null
            order by m.attempted_at
            limit 1) as unknown on true
      left join lateral (
           select m.attempted_at
             from messages m
            where m.organization_id = o.id and m.state = 'review' and m.skipped_at is null
            order by m.attempted_at
            limit 1) as review on true;
$$;

-- A sender's volume: while it is warming it may send from ramp_from a day on the local day on which it began up to its daily
-- limit ramp_days later. What it was when it was paused says what it is when it is resumed, and its health is judged by what it
-- has sent since.
alter table senders
    add column ramp_started_on date,
    add column ramp_from integer not null default 5 constraint senders_ramp_from_check check (ramp_from between 0 and 1000000),
    add column ramp_days integer not null default 30 constraint senders_ramp_days_check check (ramp_days between 1 and 365),
    add column paused_at timestamptz,
    add column paused_from text
        constraint senders_paused_from_check check (paused_from in ('pending', 'warming', 'active')),
    add column resumed_at timestamptz;
update senders set ramp_started_on = created_at::date where status = 'warming';

alter table campaigns
    add column paused_reason text,
    add column resumed_at timestamptz;

insert into system_config (category, key, value_type, value, description) values
    ('ramp', 'start', 'number', '5', 'Mails on the first day of a sender that begins to send.'),
    ('ramp', 'days', 'number', '30', 'Days after which such a sender may send up to its daily limit.'),
    ('health', 'window', 'duration', '30 days', 'How old the mails are at most by which senders and campaigns are judged.'),
    ('health', 'window_sends', 'number', '500', 'How many of the latest mails they are judged by at most.'),
    ('health', 'bounce_points', 'number', '10', 'Points of health that each per cent of hard bounces costs.'),
    ('health', 'complaint_points', 'number', '200', 'Points of health that each per cent of complaints costs.'),
    ('health', 'reply_points', 'number', '1', 'Points of health that each per cent of replies gives.'),
    ('health', 'reply_points_maximum', 'number', '10', 'Points of health that replies give at most.'),
    ('health', 'sender_pause_below', 'number', '50', 'A sender whose health is below this pauses itself.'),
    ('health', 'campaign_bounce_percent', 'number', '5', 'A campaign with this many per cent of hard bounces pauses itself.'),
    ('health', 'minimum_sends', 'number', '100', 'Mails before which nothing pauses itself, together with minimum_bounces.'),
    ('health', 'minimum_bounces', 'number', '5', 'Hard bounces before which nothing pauses itself, together with minimum_sends.'),
    ('health', 'minimum_complaints', 'number', '3', 'Complaints after which fewer mails and bounces are enough.');
grant select on system_config to martlet_maintenance;

-- What maintenance has last found of a sender. Not on the sender's own row, which every claim reads.
create table sender_health (
    organization_id uuid not null constraint sender_health_organization_fkey references organizations (id) on delete cascade,
    sender_id uuid not null,
    score integer not null constraint sender_health_score_check check (score between 0 and 100),
    sends bigint not null,
    hard_bounces bigint not null,
    complaints bigint not null,
    replies bigint not null,
    computed_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint sender_health_pkey primary key (organization_id, sender_id),
    constraint sender_health_sender_fkey foreign key (organization_id, sender_id)
        references senders (organization_id, id) on delete cascade
);
call protect_tenant_table('sender_health', 'select');
call admit_batch_role('sender_health', 'martlet_maintenance', 'select, insert, update');

-- The latest mails of a sender or a campaign, read from the end of an index. The first stands in for the one that there was.
create index messages_sender_sent_idx on messages (organization_id, sender_id, sent_at);
drop index messages_sender_idx;
alter index messages_sender_sent_idx rename to messages_sender_idx;
create index messages_campaign_sent_idx on messages (organization_id, campaign_id, sent_at) where state = 'sent';

call admit_batch_role('senders', 'martlet_maintenance',
    'select (organization_id, id, status, timezone, daily_limit, ramp_started_on, ramp_from, ramp_days, resumed_at),
     update (status, paused_reason, paused_at, paused_from)');
call admit_batch_role('campaigns', 'martlet_maintenance',
    'select (organization_id, id, status, resumed_at), update (status, paused_reason, paused_at)');
call admit_batch_role('messages', 'martlet_maintenance',
    'select (organization_id, campaign_id, sender_id, state, sent_at, bounced_at, complained_at, replied_at)');
call admit_batch_role('audit_log', 'martlet_maintenance', 'insert');

-- The organizations that have anything to examine: maintenance cannot name its tenants before it has asked.
create function organizations_to_examine() returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select o.id
      from organizations o
     where exists (select from senders s where s.organization_id = o.id and s.status in ('warming', 'active'))
        or exists (select from campaigns c where c.organization_id = o.id and c.status = 'active')
$$;
grant execute on function organizations_to_examine() to martlet_maintenance;

-- What the accounting of a campaign said when everybody in it had come to an end. Nothing changes it afterwards.
create table campaign_reports (
    organization_id uuid not null constraint campaign_reports_organization_fkey references organizations (id) on delete cascade,
    campaign_id uuid not null,
    -- Whether every step's numbers add up, and nobody is still to come.
    balanced boolean not null,
    report jsonb not null,
    completed_at timestamptz not null,
    created_at timestamptz not null default now(),
    constraint campaign_reports_pkey primary key (organization_id, campaign_id),
    constraint campaign_reports_campaign_fkey foreign key (organization_id, campaign_id)
        references campaigns (organization_id, id) on delete cascade
);
call protect_tenant_table('campaign_reports', 'select');
call admit_batch_role('campaign_reports', 'martlet_scheduler', 'select, insert');
