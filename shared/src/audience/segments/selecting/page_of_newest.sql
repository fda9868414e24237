-- The limit inside keeps a condition that nobody meets from walking through everybody. The largest uuid in place of no cursor
-- keeps the comparison an index condition.
select c.id, c.email, c.name, c.first_name, c.last_name, c.company, c.status, c.timezone, c.custom, c.source, c.import_batch_id,
       c.created_at, c.updated_at
  from (select *
          from contacts
         where id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
         order by id desc
         limit $3) as c
 where true /* who */
 order by c.id desc
 limit $2;
