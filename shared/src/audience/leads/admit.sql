-- It commits by itself before the work begins, so the row that all submissions of a form share is held for no longer than this.
-- Fixed windows by machine time; what comes over the minute's limit uses up none of the day. Of the minute one network
-- has a third, ten at least: one that sends without end keeps nobody else away.
with form as (
    select f.*, greatest(f.minute_limit / 3, 10) as share_limit
      from lead_forms f
      join organizations o on o.id = f.organization_id and o.status = 'active'
     where f.is_enabled
       and (f.key = $1 or f.previous_key = $1 and f.previous_key_ends_at > clock_now())
), share as (
    insert into address_request_counts as w (address_hash, window_start, used)
    select $2, date_trunc('minute', now()), 1 from form
        on conflict (address_hash) do update
       set used = case when excluded.window_start > w.window_start then 1 else w.used + 1 end,
           window_start = greatest(excluded.window_start, w.window_start)
    returning w.window_start, w.used
), kept_away as (
    update lead_form_usage u
       set throttled = u.throttled + 1
      from form, share
     where u.lead_form_id = form.id
       and share.used > form.share_limit
), counted as (
    update lead_form_usage u
       set minute = greatest(u.minute, date_trunc('minute', now())),
           minute_used = case when u.minute < date_trunc('minute', now()) then 1
                              else least(u.minute_used, form.minute_limit) + 1 end,
           day = greatest(u.day, (now() at time zone 'UTC')::date),
           day_used = case when u.day < (now() at time zone 'UTC')::date then 1
                           when u.minute >= date_trunc('minute', now()) and u.minute_used >= form.minute_limit then u.day_used
                           else least(u.day_used, form.day_limit) + 1 end,
           throttled = u.throttled
               + (u.minute >= date_trunc('minute', now()) and u.minute_used >= form.minute_limit
                  or u.day >= (now() at time zone 'UTC')::date and u.day_used >= form.day_limit)::integer
      from form, share
     where u.lead_form_id = form.id
       and share.used <= form.share_limit
    returning u.minute, u.minute_used, u.day, u.day_used
)
select form.*,
       case when c.day_used > form.day_limit
            then ceil(extract(epoch from (c.day + 1)::timestamp at time zone 'UTC' - now()))::bigint
            when c.minute_used > form.minute_limit
            then ceil(extract(epoch from c.minute + interval '1 minute' - now()))::bigint
            when share.used > form.share_limit
            then ceil(extract(epoch from share.window_start + interval '1 minute' - now()))::bigint end as retry_after
  from form
 cross join share
  left join counted c on true;
