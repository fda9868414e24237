-- In the order of the keys, so that two who take several never wait for each other in a circle.
select pg_advisory_xact_lock(key)
  from (select distinct hashtextextended(name, 0) as key from unnest($1::text[]) as name order by key) as gates;
