select l.*,
       (select count(*) from list_members m where m.list_id = l.id) as member_count
  from lists l
 where l.id = $1;
