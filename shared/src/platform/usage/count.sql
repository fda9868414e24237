-- What is not folded into the daily counters yet counts as well.
select (select coalesce(sum(used), 0)::bigint
          from limit_usage u where u.scope = 'organization' and u.day = $1 and u.hour = -1) as mails_a_day,
       (select count(*) from senders) as senders,
       (select count(*) from campaigns where status in ('activating', 'active')) as active_campaigns,
       (select count(*) from lists) as lists,
       (select coalesce(max(size), 0) from (select count(*) as size from list_members group by list_id) as sizes) as contacts_a_list,
       (select coalesce(sum(sent), 0)::bigint from daily_stats where day >= $2)
           + (select coalesce(sum(sent), 0)::bigint from daily_stats_deltas where day >= $2) as mails_sent,
       (select count(*) from contacts where id >= $4) as contacts_created,
       (select count(*) from import_batches where created_at >= $3) as imports,
       (select coalesce(sum(month_used), 0)::bigint
          from request_counts where month = date_trunc('month', now() at time zone 'UTC')::date) as api_requests_a_month;
