-- Contacts as they are, without a lock: those that the file doesn't change need none.
-- Scalar sub-queries look each contact up by index. As EXISTS they would be hashed, which reads everything that the import
-- has met, or the whole list, with each chunk.
select id, email_lower, name, first_name, last_name, company, timezone, custom::text, raw_data::text,
       -- An earlier row of this file was about it: it was made in this run, or is remembered as met.
       (import_batch_id is not distinct from $2 and created_at >= $3)
           or coalesce((select true from import_matches where import_batch_id = $2 and contact_id = contacts.id limit 1), false)
           as met,
       $4::uuid is null
           or coalesce((select true from list_members where list_id = $4 and contact_id = contacts.id limit 1), false)
           as on_list,
       cardinality($5::uuid[]) = coalesce(
           (select count(*) from contact_tags where contact_id = contacts.id and tag_id = any ($5)), 0) as is_tagged,
       import_batch_id is not distinct from $2 and created_at >= $3 as is_ours
  from contacts
 where id = any ($1::uuid[]);
