-- It commits by itself before the work begins, so the row that all submissions of a form share is held for no longer than this.
-- Fixed windows by machine time; what comes over the minute's limit uses up none of the day. Of a form that stands in pages one network
-- ($2) has a third of the minute, ten at least, and of the day, a hundred at least: one that sends without end keeps nobody else away. Of a
-- share the start of a window is its end, so that it is kept until then. That of the day is counted where a submission is taken (count.sql).
with form as (
    select f.*,
           case when f.allowed_origins = '{}' then f.minute_limit else greatest(f.minute_limit / 3, 10) end as minute_share,
           case when f.allowed_origins = '{}' then f.day_limit else greatest(f.day_limit / 3, 100) end as day_share
      from lead_forms f
      join organizations o on o.id = f.organization_id and o.status = 'active'
     where f.is_enabled
       and (f.key = $1 or f.previous_key = $1 and f.previous_key_ends_at > clock_now())
), of_minute as (
    insert into address_request_counts as w (address_hash, window_start, used)
    select sha256($2 || uuid_send(id) || 'minute'), date_trunc('minute', now()) + interval '1 minute', 1 from form
        on conflict (address_hash) do update
       set used = case when w.window_start <= now() then 1 else w.used + 1 end,
           window_start = case when w.window_start <= now() then excluded.window_start else w.window_start end
    returning w.window_start as ends_at, w.used
), of_day as (
    select w.window_start as ends_at, w.used
      from form
      join address_request_counts w on w.address_hash = sha256($2 || uuid_send(form.id) || 'day') and w.window_start > now()
), share as (
    select m.used > form.minute_share or coalesce(d.used >= form.day_share, false) as is_used_up,
           case when d.used >= form.day_share then d.ends_at else m.ends_at end as ends_at
      from form
     cross join of_minute m
      left join of_day d on true
), kept_away as (
    update lead_form_usage u
       set throttled = u.throttled + 1
      from form, share
     where u.lead_form_id = form.id
       and share.is_used_up
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
       and not share.is_used_up
    returning u.minute, u.minute_used, u.day, u.day_used
)
select form.*,
       case when share.is_used_up
            then ceil(extract(epoch from share.ends_at - now()))::bigint
            when c.day_used > form.day_limit
            then ceil(extract(epoch from (c.day + 1)::timestamp at time zone 'UTC' - now()))::bigint
            when c.minute_used > form.minute_limit
            then ceil(extract(epoch from c.minute + interval '1 minute' - now()))::bigint end as retry_after
  from form
 cross join share
  left join counted c on true;
