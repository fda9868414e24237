insert into sender_health (organization_id, sender_id, score, sends, hard_bounces, complaints, replies, computed_at)
select organization_id, sender_id, score, sends, hard_bounces, complaints, replies, $8
  from unnest($1::uuid[], $2::uuid[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
       as k (organization_id, sender_id, score, sends, hard_bounces, complaints, replies)
    on conflict on constraint sender_health_pkey do update
   set score = excluded.score,
       sends = excluded.sends,
       hard_bounces = excluded.hard_bounces,
       complaints = excluded.complaints,
       replies = excluded.replies,
       computed_at = excluded.computed_at;
