select k.key, found.people, c.id, c.email, c.name, c.first_name, c.last_name, c.company, c.status, c.created_at
  from unnest($1::bigint[]) as k (key)
 cross join lateral (select count(*) as people from contacts c where c.namesake = k.key) as found
 cross join lateral (select * from contacts c where c.namesake = k.key order by c.id limit $2) as c
 where found.people > 1
 order by k.key, c.id;
