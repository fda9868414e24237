-- Most letters have links that are known: what is there already is not tried, so no foreign key is locked for it.
insert into tracked_links (organization_id, id, campaign_id, step_id, url)
select k.organization_id, k.id, k.campaign_id, k.step_id, k.url
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[]) with ordinality
       as k (organization_id, id, campaign_id, step_id, url, position)
 where not exists (select from tracked_links l where l.organization_id = k.organization_id and l.id = k.id)
 order by k.position
    on conflict do nothing;
