-- It commits by itself before the work begins, so the row that all submissions of a form share is held for no longer than this.
-- Fixed windows by machine time; what comes over the minute's limit uses up none of the day.
with form as (
    select f.*
      from lead_forms f
      join organizations o on o.id = f.organization_id and o.status = 'active'
     where f.is_enabled
       and (f.key = $1 or f.previous_key = $1 and f.previous_key_ends_at > clock_now())
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
      from form
     where u.lead_form_id = form.id
    returning u.minute, u.minute_used, u.day, u.day_used
)
select form.*,
       case when c.day_used > form.day_limit
            then ceil(extract(epoch from (c.day + 1)::timestamp at time zone 'UTC' - now()))::bigint
            when c.minute_used > form.minute_limit
            then ceil(extract(epoch from c.minute + interval '1 minute' - now()))::bigint end as retry_after
  from form
 cross join counted c;
