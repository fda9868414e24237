-- Only for messages that exist and that were sent under this provider id, or whose id nobody has recorded yet: a tag that
-- names somebody's message under another id changes nothing. Of several ids in a batch the first is the message's; a mail that
-- a person had sent again may have been accepted under two. A visit that our own routes saw names none. Of visits one message
-- keeps $12 of people and of machines, by their kind; of those with the same key the earliest.
with told as (
    select k.*, m.resent_at,
           coalesce(m.provider_message_id, first_value(k.provider_message_id) over (
               partition by k.organization_id, k.message_id
               order by k.provider_message_id is null, k.position)) as known_provider_message_id
      from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::jsonb[], $8::text[],
                  $9::inet[], $10::text[], $11::boolean[]) with ordinality
           as k (organization_id, id, message_id, kind, dedupe_key, occurred_at, details, provider_message_id,
                 ip, user_agent, is_machine, position)
      join messages m on m.organization_id = k.organization_id and m.id = k.message_id
     where m.attempts > 0
), ours as (
    select t.*,
           dense_rank() over (partition by t.organization_id, t.message_id, t.kind, t.is_machine order by t.dedupe_key) as place
      from told t
     where t.provider_message_id is null or t.provider_message_id = t.known_provider_message_id
       or t.resent_at is not null
)
insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at, details, ip, user_agent, is_machine)
select o.organization_id, o.id, o.message_id, o.kind,
       -- What happens once to a mail may happen once to each of the two.
       case when o.resent_at is not null and o.kind not in ('opened', 'clicked')
            then concat_ws(':', o.dedupe_key, o.provider_message_id)
            else o.dedupe_key end,
       o.occurred_at, o.details, o.ip, o.user_agent, o.is_machine
  from ours o
 where o.kind not in ('opened', 'clicked')
    or o.place + (select count(*)
                    from message_events e
                   where e.organization_id = o.organization_id
                     and e.message_id = o.message_id
                     and e.kind = o.kind
                     and e.is_machine = o.is_machine) <= $12::bigint
 order by o.occurred_at, o.position
    on conflict on constraint message_events_dedupe_key do nothing
returning id;
