-- The smallest uuid in place of no key keeps the comparison an index condition.
with walked as materialized (
    select person_id as key
      from contacts
     where person_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
     order by person_id
     limit $2
)
select array(select key from walked group by key having count(*) > 1 order by key limit $3) as keys,
       (select key from walked order by key desc limit 1) as reached,
       (select count(*) from walked) as walked;
