insert into persons (organization_id, id, first_name, last_name, city, region, country, company, profession, timezone, score,
                     set_by_hand, provider, enriched_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    on conflict (organization_id, id) do update
   set first_name = excluded.first_name,
       last_name = excluded.last_name,
       city = excluded.city,
       region = excluded.region,
       country = excluded.country,
       company = excluded.company,
       profession = excluded.profession,
       timezone = excluded.timezone,
       score = excluded.score,
       set_by_hand = excluded.set_by_hand,
       provider = excluded.provider,
       enriched_at = excluded.enriched_at;
