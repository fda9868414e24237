select t.*,
       (select count(*) from contact_tags c where c.tag_id = t.id) as contact_count,
       false as has_more_contacts
  from tags t
 where t.id = $1;
