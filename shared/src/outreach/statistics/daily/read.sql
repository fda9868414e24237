-- Both tables in one statement, so that what is being folded is counted once. A day on which nothing happened is there too.
with counted as (
    select day, campaign_id, step_id, sender_id,
           sent, failed, delivered, opened, clicked, bounced, complained, replied, unsubscribed, soft_bounced,
           automatic_replies, total_opens, machine_opens, total_clicks, machine_clicks
      from daily_stats
    union all
    select day, campaign_id, step_id, sender_id,
           sent, failed, delivered, opened, clicked, bounced, complained, replied, unsubscribed, soft_bounced,
           automatic_replies, total_opens, machine_opens, total_clicks, machine_clicks
      from daily_stats_deltas
), asked_for as (
    select *
      from counted
     where day between $1 and $2
       and ($3::uuid is null or campaign_id = $3)
       and ($4::uuid is null or step_id = $4)
       and ($5::uuid is null or sender_id = $5)
)
select d.day,
       coalesce(sum(a.sent), 0)::bigint as sent,
       coalesce(sum(a.sent) filter (where s.position > 1), 0)::bigint as follow_ups_sent,
       coalesce(sum(a.failed), 0)::bigint as failed,
       coalesce(sum(a.delivered), 0)::bigint as delivered,
       coalesce(sum(a.opened), 0)::bigint as opened,
       coalesce(sum(a.clicked), 0)::bigint as clicked,
       coalesce(sum(a.bounced), 0)::bigint as bounced,
       coalesce(sum(a.complained), 0)::bigint as complained,
       coalesce(sum(a.replied), 0)::bigint as replied,
       coalesce(sum(a.unsubscribed), 0)::bigint as unsubscribed,
       coalesce(sum(a.soft_bounced), 0)::bigint as soft_bounced,
       coalesce(sum(a.automatic_replies), 0)::bigint as automatic_replies,
       coalesce(sum(a.total_opens), 0)::bigint as total_opens,
       coalesce(sum(a.machine_opens), 0)::bigint as machine_opens,
       coalesce(sum(a.total_clicks), 0)::bigint as total_clicks,
       coalesce(sum(a.machine_clicks), 0)::bigint as machine_clicks
  from (select $1::date + n as day from generate_series(0, $2::date - $1::date) as n) as d
  left join asked_for a on a.day = d.day
  left join steps s on s.id = a.step_id
 group by d.day
 order by d.day;
