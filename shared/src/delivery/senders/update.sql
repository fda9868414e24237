update senders
   set display_name = case when $2 then $3 else display_name end,
       signature = case when $4 then $5 else signature end,
       timezone = coalesce($6, timezone),
       daily_limit = coalesce($7, daily_limit),
       gap_seconds = coalesce($8, gap_seconds)
 where id = $1;
