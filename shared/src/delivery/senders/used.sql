-- Each sender's day is its own: where it is past midnight, today's count has begun anew.
select t.sender_id, u.used
  from unnest($1::uuid[], $2::date[]) as t (sender_id, day)
  join limit_usage u on u.scope = 'sender' and u.scope_id = t.sender_id and u.day = t.day and u.hour = -1;
