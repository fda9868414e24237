-- Without an end the present key is over at once, and so is the one before it in any case.
update lead_forms
   set previous_key = case when $3::timestamptz is not null then key end,
       previous_key_ends_at = $3,
       key = $2
 where id = $1;
