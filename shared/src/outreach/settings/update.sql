update campaign_settings
   set window_start = $2,
       window_end = $3,
       send_days = $4,
       timezone = $5,
       daily_limit = $6,
       gap_seconds = $7,
       maximum_lateness_seconds = $8,
       track_opens = $9,
       track_clicks = $10,
       timezone_mode = $11,
       holidays = $12,
       jitter_seconds = $13,
       sender_strategy = $14
 where campaign_id = $1
returning *;
