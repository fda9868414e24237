-- As among the newest contacts, among the newest of the tag alone: everybody who is meant is of it.
select c.id, c.email, c.name, c.first_name, c.last_name, c.company, c.status, c.timezone, c.custom, c.source, c.import_batch_id,
       c.created_at, c.updated_at
  from (select contact_id
          from contact_tags
         where tag_id = $4
           and contact_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
         order by contact_id desc
         limit $3) as newest
  join contacts c on c.id = newest.contact_id
 where true /* who */
 order by newest.contact_id desc
 limit $2;
