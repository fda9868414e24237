-- Addresses that begin with $5 lie between it and it followed by the largest character. Materialized, or else a plan for
-- an unknown prefix may walk all contacts by age until the page is full, which for a rare one it never is.
with found as materialized (
    select id, email, name, first_name, last_name, company, status, timezone, custom, source, import_batch_id, created_at,
           updated_at
      from contacts
     where email_lower >= $5
       and email_lower < $5::text || U&'\+10FFFF'
       and id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       and ($3::text is null or status = $3)
)
select *
  from found f
 where $4::uuid is null
    or exists (select from list_members m where m.list_id = $4 and m.contact_id = f.id)
 order by id desc
 limit $2;
