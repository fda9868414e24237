-- The index has those whose mail goes to another address's mailbox; whoever has that address is looked up beside them, one by one.
with walked as materialized (
    select address_base as key
      from contacts
     where address_base > coalesce($1::text, '')
     order by address_base
     limit $2
), others as (
    select key, count(*) as people from walked group by key
)
select array(select o.key
               from others o
              cross join lateral (select count(*) as people from contacts c where c.email_lower = o.key) as base
              where o.people + base.people > 1
              order by o.key
              limit $3) as keys,
       (select key from walked order by key desc limit 1) as reached,
       (select count(*) from walked) as walked;
