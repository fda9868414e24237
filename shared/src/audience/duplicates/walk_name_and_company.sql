-- As with persons, by the hash of name and company.
with walked as materialized (
    select namesake as key
      from contacts
     where namesake > coalesce($1::bigint, -9223372036854775808)
     order by namesake
     limit $2
)
select array(select key from walked group by key having count(*) > 1 order by key limit $3) as keys,
       (select key from walked order by key desc limit 1) as reached,
       (select count(*) from walked) as walked;
