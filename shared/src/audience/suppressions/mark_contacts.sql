-- A person who has bounced before stays so, and one who answered becomes nothing less than unsubscribed.
update contacts c
   set status = k.status
  from unnest($1::uuid[], $2::text[]) as k (id, status)
 where c.id = k.id
   and (c.status in ('active', 'contacted') or (c.status = 'replied' and k.status = 'unsubscribed'));
