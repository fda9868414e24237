-- Materialized: who is meant is found by the indexes of what is said of them, and put in order then. As one statement with the
-- limit, a plan for few might walk all contacts by age until the page is full, which it never is.
with found as materialized (
    select c.id
      from contacts c /* by id */
     where c.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       and true /* who */
)
select c.id, c.email, c.name, c.first_name, c.last_name, c.company, c.status, c.timezone, c.custom, c.source, c.import_batch_id,
       c.created_at, c.updated_at
  from (select id from found order by id desc limit $2) as newest
  join contacts c on c.id = newest.id
 order by c.id desc;
