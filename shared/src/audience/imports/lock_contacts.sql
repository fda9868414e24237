-- The contacts that will be written to or put on a list, as they are once they are ours. In the order of the ids, as
-- everybody locks contacts. No key changes, so that references to them are not held up.
select id, email_lower, name, first_name, last_name, company, timezone, custom::text, raw_data::text,
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
 where id = any ($1::uuid[])
 order by id
   for no key update of contacts;
