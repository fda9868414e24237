select k.key, other.people + base.people as people, c.id, c.email, c.name, c.first_name, c.last_name, c.company, c.status, c.created_at
  from unnest($1::text[]) as k (key)
 cross join lateral (select count(*) as people from contacts c where c.address_base = k.key) as other
 cross join lateral (select count(*) as people from contacts c where c.email_lower = k.key) as base
 cross join lateral (
       select *
         from (select * from contacts c where c.email_lower = k.key
               union all
               (select * from contacts c where c.address_base = k.key order by c.id limit $2)) as mailbox
        order by id
        limit $2) as c
 where other.people + base.people > 1
 order by k.key, c.id;
