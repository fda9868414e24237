-- The contacts of the page's tags alone are counted, and of each no more than 10,000, as with lists. In their order, so
-- that the index is walked: of a tag that nobody has, beside large ones, the table would be read through.
select t.*, least(c.found, 10000) as contact_count, c.found > 10000 as has_more_contacts
  from (select *
          from tags
         where id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
         order by id desc
         limit $2) as t
 cross join lateral (
       select count(*) as found
         from (select from contact_tags c where c.tag_id = t.id order by c.contact_id limit 10001) as c) as c
 order by t.id desc;
