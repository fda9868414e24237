-- Both tables in one statement, so that what is being folded is counted once.
with counted as (
    select step_id,
           sent, failed, delivered, opened, clicked, bounced, complained, replied, unsubscribed, soft_bounced,
           automatic_replies, total_opens, machine_opens, total_clicks, machine_clicks
      from daily_stats
     where campaign_id = $1
    union all
    select step_id,
           sent, failed, delivered, opened, clicked, bounced, complained, replied, unsubscribed, soft_bounced,
           automatic_replies, total_opens, machine_opens, total_clicks, machine_clicks
      from daily_stats_deltas
     where campaign_id = $1
)
select s.id as step_id, s.position, s.name,
       coalesce(sum(c.sent), 0)::bigint as sent,
       coalesce(sum(c.sent) filter (where s.position > 1), 0)::bigint as follow_ups_sent,
       coalesce(sum(c.failed), 0)::bigint as failed,
       coalesce(sum(c.delivered), 0)::bigint as delivered,
       coalesce(sum(c.opened), 0)::bigint as opened,
       coalesce(sum(c.clicked), 0)::bigint as clicked,
       coalesce(sum(c.bounced), 0)::bigint as bounced,
       coalesce(sum(c.complained), 0)::bigint as complained,
       coalesce(sum(c.replied), 0)::bigint as replied,
       coalesce(sum(c.unsubscribed), 0)::bigint as unsubscribed,
       coalesce(sum(c.soft_bounced), 0)::bigint as soft_bounced,
       coalesce(sum(c.automatic_replies), 0)::bigint as automatic_replies,
       coalesce(sum(c.total_opens), 0)::bigint as total_opens,
       coalesce(sum(c.machine_opens), 0)::bigint as machine_opens,
       coalesce(sum(c.total_clicks), 0)::bigint as total_clicks,
       coalesce(sum(c.machine_clicks), 0)::bigint as machine_clicks
  from steps s
  left join counted c on c.step_id = s.id
 where s.campaign_id = $1
 group by s.organization_id, s.id
 order by s.position;
