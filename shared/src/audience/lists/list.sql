-- The members of the page's lists alone are counted.
select l.*,
       (select count(*) from list_members m where m.list_id = l.id) as member_count
  from (select *
          from lists
         where id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
         order by id desc
         limit $2) as l
 order by l.id desc;
