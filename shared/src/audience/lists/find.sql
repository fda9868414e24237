select l.*,
       (select count(*) from list_members m where m.list_id = l.id) as member_count,
       false as has_more_members
  from lists l
 where l.id = $1;
