-- What is refused or trapped uses up the minute and none of the day: nobody is to shut a form until midnight with what it never takes.
update lead_form_usage
   set day_used = greatest(day_used - $3::bigint - $4::bigint, 0),
       accepted = accepted + $2,
       refused = refused + $3,
       trapped = trapped + $4,
       not_listed = not_listed + $5
 where lead_form_id = $1;
