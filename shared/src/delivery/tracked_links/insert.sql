-- Most letters have links that are known, and of which two messages are known that have them: what is there already is not tried,
-- so no foreign key is locked for it.
insert into tracked_links (organization_id, id, campaign_id, step_id, url, message_id, other_message_id)
select k.organization_id, k.id, k.campaign_id, k.step_id, k.url, k.message_id, k.other_message_id
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::uuid[]) with ordinality
       as k (organization_id, id, campaign_id, step_id, url, message_id, other_message_id, position)
 where not exists (select
                     from tracked_links l
                    where l.organization_id = k.organization_id
                      and l.id = k.id
                      and (l.message_id is null
                           or l.other_message_id is not null
                           or (l.message_id = k.message_id and k.other_message_id is null)))
   -- Of a person who has been erased since the letter was read nothing is kept. Looked up by their ids alone, as letters are read.
   and (k.other_message_id is not null
        or k.message_id <> all (array(select m.id from messages m where m.id = any ($6::uuid[]) and m.recipient = 'erased')))
 order by k.position
    on conflict (organization_id, id) do update
       set other_message_id = case when tracked_links.message_id = excluded.message_id then excluded.other_message_id
                                   else excluded.message_id end
     where tracked_links.other_message_id is null
       and (tracked_links.message_id <> excluded.message_id or excluded.other_message_id is not null);
