-- The contacts of the page's tags alone are counted.
select t.*,
       (select count(*) from contact_tags c where c.tag_id = t.id) as contact_count
  from (select *
          from tags
         where id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
         order by id desc
         limit $2) as t
 order by t.id desc;
