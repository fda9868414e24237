-- What is refused or trapped uses up the minute and none of the day: nobody is to shut a form until midnight with what it never takes. Nor
-- does it use up the share of the day of the network ($6) that it came from, behind which others are.
with of_network as (
    insert into address_request_counts as w (address_hash, window_start, used)
    select sha256($6 || uuid_send($1::uuid) || 'day'), ((now() at time zone 'UTC')::date + 1)::timestamp at time zone 'UTC', 1
     where $2::bigint > 0
        on conflict (address_hash) do update
       set used = case when w.window_start <= now() then 1 else w.used + 1 end,
           window_start = case when w.window_start <= now() then excluded.window_start else w.window_start end
)
update lead_form_usage
   set day_used = greatest(day_used - $3::bigint - $4::bigint, 0),
       accepted = accepted + $2,
       refused = refused + $3,
       trapped = trapped + $4,
       not_listed = not_listed + $5
 where lead_form_id = $1;
