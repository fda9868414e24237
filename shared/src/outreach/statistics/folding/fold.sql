-- One statement: the deltas are gone exactly when they are counted. In the order of the dimensions, so that two of these
-- would wait for each other and never in a circle.
with taken as (
    delete from daily_stats_deltas
     where ctid = any (array(
           select ctid
             from daily_stats_deltas
            order by organization_id, day, campaign_id, step_id, sender_id
            limit $1))
    returning *
), folded as (
    insert into daily_stats as s (
           organization_id, day, campaign_id, step_id, sender_id,
           sent, failed, delivered, opened, clicked, bounced, complained, replied, unsubscribed, soft_bounced,
           automatic_replies, total_opens, machine_opens, total_clicks, machine_clicks)
    select organization_id, day, campaign_id, step_id, sender_id,
           sum(sent), sum(failed), sum(delivered), sum(opened), sum(clicked), sum(bounced), sum(complained),
           sum(replied), sum(unsubscribed), sum(soft_bounced), sum(automatic_replies), sum(total_opens),
           sum(machine_opens), sum(total_clicks), sum(machine_clicks)
      from taken
     group by organization_id, day, campaign_id, step_id, sender_id
     order by organization_id, day, campaign_id, step_id, sender_id
        on conflict on constraint daily_stats_dimensions_key do update
       set sent = s.sent + excluded.sent,
           failed = s.failed + excluded.failed,
           delivered = s.delivered + excluded.delivered,
           opened = s.opened + excluded.opened,
           clicked = s.clicked + excluded.clicked,
           bounced = s.bounced + excluded.bounced,
           complained = s.complained + excluded.complained,
           replied = s.replied + excluded.replied,
           unsubscribed = s.unsubscribed + excluded.unsubscribed,
           soft_bounced = s.soft_bounced + excluded.soft_bounced,
           automatic_replies = s.automatic_replies + excluded.automatic_replies,
           total_opens = s.total_opens + excluded.total_opens,
           machine_opens = s.machine_opens + excluded.machine_opens,
           total_clicks = s.total_clicks + excluded.total_clicks,
           machine_clicks = s.machine_clicks + excluded.machine_clicks
)
select count(*) from taken;
