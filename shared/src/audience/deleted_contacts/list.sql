-- The latest time and the largest uuid in place of no place keep the comparison an index condition, whichever plan is used.
select id, snapshot -> 'contact' as contact, reason, merged_into, deleted_at, deleted_by
  from deleted_contacts
 where (deleted_at, id) < (coalesce($1::timestamptz, 'infinity'), coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
 order by deleted_at desc, id desc
 limit $3;
