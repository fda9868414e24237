-- What was sent and what came of it, per day: counted as it happens, folded and read without walking the ledger.

do $$
begin
    create role martlet_maintenance login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
exception when duplicate_object or unique_violation then
    null;
end
$$;
grant usage on schema public to martlet_maintenance;
grant execute on function clock_now() to martlet_maintenance;

-- Days are UTC. Campaign and step are null for mail outside campaigns. No foreign keys but the tenant's: what was counted
-- stays counted, and a lock on the campaign's row would come after those on messages, out of the order of locks.
create table daily_stats (
    organization_id uuid not null constraint daily_stats_organization_fkey references organizations (id) on delete cascade,
    day date not null,
    campaign_id uuid,
    step_id uuid,
    sender_id uuid,
    -- Once per message, by its state and its summary.
    sent bigint not null default 0,
    failed bigint not null default 0,
    delivered bigint not null default 0,
    opened bigint not null default 0,
    clicked bigint not null default 0,
    bounced bigint not null default 0,
    complained bigint not null default 0,
    replied bigint not null default 0,
    unsubscribed bigint not null default 0,
    -- Once per event. The opens and clicks of machines are also among the totals.
    soft_bounced bigint not null default 0,
    automatic_replies bigint not null default 0,
    total_opens bigint not null default 0,
    machine_opens bigint not null default 0,
    total_clicks bigint not null default 0,
    machine_clicks bigint not null default 0,
    updated_at timestamptz not null default now(),
    constraint daily_stats_dimensions_key unique nulls not distinct (organization_id, day, campaign_id, step_id, sender_id)
) with (fillfactor = 80);
create index daily_stats_campaign_idx on daily_stats (organization_id, campaign_id, day);
call protect_tenant_table('daily_stats', 'select');
call admit_batch_role('daily_stats', 'martlet_maintenance', 'select, insert, update');

-- What is not yet in daily_stats, one row per statement and dimensions, since counters updated by the triggers themselves
-- would wait for each other in a circle. Corrections are negative.
create table daily_stats_deltas (
    organization_id uuid not null
        constraint daily_stats_deltas_organization_fkey references organizations (id) on delete cascade,
    day date not null,
    campaign_id uuid,
    step_id uuid,
    sender_id uuid,
    sent integer not null default 0,
    failed integer not null default 0,
    delivered integer not null default 0,
    opened integer not null default 0,
    clicked integer not null default 0,
    bounced integer not null default 0,
    complained integer not null default 0,
    replied integer not null default 0,
    unsubscribed integer not null default 0,
    soft_bounced integer not null default 0,
    automatic_replies integer not null default 0,
    total_opens integer not null default 0,
    machine_opens integer not null default 0,
    total_clicks integer not null default 0,
    machine_clicks integer not null default 0
) with (autovacuum_vacuum_scale_factor = 0.05);
-- In the order of folding.
create index daily_stats_deltas_dimensions_idx
    on daily_stats_deltas (organization_id, day, campaign_id, step_id, sender_id);
create index daily_stats_deltas_campaign_idx on daily_stats_deltas (organization_id, campaign_id, day);
call protect_tenant_table('daily_stats_deltas', 'select, insert');
call admit_batch_role('daily_stats_deltas', 'martlet_scheduler', 'insert');
call admit_batch_role('daily_stats_deltas', 'martlet_sender', 'insert');
call admit_batch_role('daily_stats_deltas', 'martlet_feedback', 'insert');
call admit_batch_role('daily_stats_deltas', 'martlet_inbound', 'insert');
call admit_batch_role('daily_stats_deltas', 'martlet_maintenance', 'select, delete');

-- What a message counts as, and on which UTC day: a function of its row alone, so that the counters are at any moment the
-- sum over all rows, whatever came first, late or twice. A mail that was refused after it had been accepted counts as
-- failed on the day it was sent; one that never left, on the day it was to go.
create function message_counts(
        state text, send_at timestamptz, sent_at timestamptz, delivered_at timestamptz, opened_at timestamptz,
        clicked_at timestamptz, bounced_at timestamptz, complained_at timestamptz, replied_at timestamptz,
        unsubscribed_at timestamptz)
    returns table (counter text, day date)
    language sql immutable
as $$
    select c.counter, (c.happened_at at time zone 'UTC')::date
      from (values
               ('sent', case when state = 'sent' then coalesce(sent_at, send_at) end),
               ('failed', case when state = 'failed' then coalesce(sent_at, send_at) end),
               ('delivered', delivered_at),
               ('opened', opened_at),
               ('clicked', clicked_at),
               ('bounced', bounced_at),
               ('complained', complained_at),
               ('replied', replied_at),
               ('unsubscribed', unsubscribed_at)) as c (counter, happened_at)
     where c.happened_at is not null
$$;
grant execute on function message_counts(
        text, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz,
        timestamptz)
    to martlet_app, martlet_scheduler, martlet_sender, martlet_feedback, martlet_inbound;

-- The triggers run with the rights of whoever writes, so row-level security holds for the deltas as for the rows counted.
create function count_new_messages() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into daily_stats_deltas (organization_id, day, campaign_id, step_id, sender_id,
           sent, failed, delivered, opened, clicked, bounced, complained, replied, unsubscribed)
    select m.organization_id, c.day, m.campaign_id, m.step_id, m.sender_id,
           count(*) filter (where c.counter = 'sent'),
           count(*) filter (where c.counter = 'failed'),
           count(*) filter (where c.counter = 'delivered'),
           count(*) filter (where c.counter = 'opened'),
           count(*) filter (where c.counter = 'clicked'),
           count(*) filter (where c.counter = 'bounced'),
           count(*) filter (where c.counter = 'complained'),
           count(*) filter (where c.counter = 'replied'),
           count(*) filter (where c.counter = 'unsubscribed')
      from new_rows m
     cross join lateral message_counts(
               m.state, m.send_at, m.sent_at, m.delivered_at, m.opened_at, m.clicked_at, m.bounced_at, m.complained_at,
               m.replied_at, m.unsubscribed_at) as c
     group by m.organization_id, c.day, m.campaign_id, m.step_id, m.sender_id;
    return null;
end
$$;

-- The rows as they are now less the rows as they were; added up and not joined, since the plan is kept and a join that
-- suits ten rows would not suit ten thousand.
create function count_changed_messages() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into daily_stats_deltas (organization_id, day, campaign_id, step_id, sender_id,
           sent, failed, delivered, opened, clicked, bounced, complained, replied, unsubscribed)
    select d.organization_id, d.day, d.campaign_id, d.step_id, d.sender_id,
           coalesce(sum(d.n) filter (where d.counter = 'sent'), 0),
           coalesce(sum(d.n) filter (where d.counter = 'failed'), 0),
           coalesce(sum(d.n) filter (where d.counter = 'delivered'), 0),
           coalesce(sum(d.n) filter (where d.counter = 'opened'), 0),
           coalesce(sum(d.n) filter (where d.counter = 'clicked'), 0),
           coalesce(sum(d.n) filter (where d.counter = 'bounced'), 0),
           coalesce(sum(d.n) filter (where d.counter = 'complained'), 0),
           coalesce(sum(d.n) filter (where d.counter = 'replied'), 0),
           coalesce(sum(d.n) filter (where d.counter = 'unsubscribed'), 0)
      from (select m.organization_id, c.day, m.campaign_id, m.step_id, m.sender_id, c.counter, sum(m.n) as n
              from (select 1 as n, organization_id, campaign_id, step_id, sender_id, state, send_at, sent_at, delivered_at,
                           opened_at, clicked_at, bounced_at, complained_at, replied_at, unsubscribed_at
                      from new_rows
                    union all
                    select -1, organization_id, campaign_id, step_id, sender_id, state, send_at, sent_at, delivered_at,
                           opened_at, clicked_at, bounced_at, complained_at, replied_at, unsubscribed_at
                      from old_rows) as m
             cross join lateral message_counts(
                       m.state, m.send_at, m.sent_at, m.delivered_at, m.opened_at, m.clicked_at, m.bounced_at,
                       m.complained_at, m.replied_at, m.unsubscribed_at) as c
             group by m.organization_id, c.day, m.campaign_id, m.step_id, m.sender_id, c.counter
            having sum(m.n) <> 0) as d
     group by d.organization_id, d.day, d.campaign_id, d.step_id, d.sender_id;
    return null;
end
$$;

create function count_new_events() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into daily_stats_deltas (organization_id, day, campaign_id, step_id, sender_id,
           soft_bounced, automatic_replies, total_opens, machine_opens, total_clicks, machine_clicks)
    select e.organization_id, (e.occurred_at at time zone 'UTC')::date, m.campaign_id, m.step_id, m.sender_id,
           count(*) filter (where e.kind = 'soft_bounced'),
           count(*) filter (where e.kind = 'auto_replied'),
           count(*) filter (where e.kind = 'opened'),
           count(*) filter (where e.kind = 'opened' and e.is_machine),
           count(*) filter (where e.kind = 'clicked'),
           count(*) filter (where e.kind = 'clicked' and e.is_machine)
      from new_rows e
      -- One by one by the primary key: as a join the planner, while the ledger is young, would rather read all of it.
     cross join lateral (
           select m.campaign_id, m.step_id, m.sender_id
             from messages m
            where m.organization_id = e.organization_id and m.id = e.message_id
           offset 0) as m
     where e.kind in ('soft_bounced', 'auto_replied', 'opened', 'clicked')
     group by e.organization_id, (e.occurred_at at time zone 'UTC')::date, m.campaign_id, m.step_id, m.sender_id;
    return null;
end
$$;

-- Nothing is taken back when rows are deleted: what has happened has happened.
create trigger count_new_messages after insert on messages
    referencing new table as new_rows for each statement execute function count_new_messages();
create trigger count_changed_messages after update on messages
    referencing old table as old_rows new table as new_rows for each statement execute function count_changed_messages();
create trigger count_new_events after insert on message_events
    referencing new table as new_rows for each statement execute function count_new_events();

-- What is there already. The triggers keep every writer out until this is committed.
insert into daily_stats (organization_id, day, campaign_id, step_id, sender_id,
       sent, failed, delivered, opened, clicked, bounced, complained, replied, unsubscribed,
       soft_bounced, automatic_replies, total_opens, machine_opens, total_clicks, machine_clicks)
select organization_id, day, campaign_id, step_id, sender_id,
       count(*) filter (where counter = 'sent'),
       count(*) filter (where counter = 'failed'),
       count(*) filter (where counter = 'delivered'),
       count(*) filter (where counter = 'opened'),
       count(*) filter (where counter = 'clicked'),
       count(*) filter (where counter = 'bounced'),
       count(*) filter (where counter = 'complained'),
       count(*) filter (where counter = 'replied'),
       count(*) filter (where counter = 'unsubscribed'),
       count(*) filter (where counter = 'event:soft_bounced'),
       count(*) filter (where counter = 'event:auto_replied'),
       count(*) filter (where counter = 'event:opened'),
       count(*) filter (where counter = 'event:opened' and is_machine),
       count(*) filter (where counter = 'event:clicked'),
       count(*) filter (where counter = 'event:clicked' and is_machine)
  from (select m.organization_id, c.day, m.campaign_id, m.step_id, m.sender_id, c.counter, false as is_machine
          from messages m
         cross join lateral message_counts(
                   m.state, m.send_at, m.sent_at, m.delivered_at, m.opened_at, m.clicked_at, m.bounced_at,
                   m.complained_at, m.replied_at, m.unsubscribed_at) as c
        union all
        select e.organization_id, (e.occurred_at at time zone 'UTC')::date, m.campaign_id, m.step_id, m.sender_id,
               'event:' || e.kind, e.is_machine
          from message_events e
          join messages m on m.organization_id = e.organization_id and m.id = e.message_id
         where e.kind in ('soft_bounced', 'auto_replied', 'opened', 'clicked')) as counted
 group by organization_id, day, campaign_id, step_id, sender_id;

-- The organizations whose deltas wait to be folded: maintenance cannot name its tenants before it has asked.
create function organizations_with_deltas() returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select o.id
      from organizations o
     where exists (select from daily_stats_deltas d where d.organization_id = o.id)
$$;
grant execute on function organizations_with_deltas() to martlet_maintenance;
