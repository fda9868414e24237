-- The members of the page's lists alone are counted, and of each no more than 10,000: a page may have a hundred lists of a million. In their order, so
-- that the index is walked: of a list that is empty, beside large ones, the table would be read through.
select l.*, least(m.found, 10000) as member_count, m.found > 10000 as has_more_members
  from (select *
          from lists
         where id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
         order by id desc
         limit $2) as l
 cross join lateral (
       select count(*) as found
         from (select from list_members m where m.list_id = l.id order by m.contact_id limit 10001) as m) as m
 order by l.id desc;
