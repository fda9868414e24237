-- With the names of the people, who belong to no organization.
select page.place, page.row
  from (select array[x.user_id::text] as place, texts.row,
               sum(octet_length(texts.row)) over (order by x.user_id) - octet_length(texts.row) as bytes_before
          from (select m.user_id, m.role, u.email, u.first_name, u.last_name, m.created_at, m.updated_at
                  from memberships m
                  join users u on u.id = m.user_id
                 where m.user_id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
                 order by m.user_id
                 limit $2) as x
         cross join lateral (select row_to_json(x)::text as row offset 0) as texts) as page
 where page.bytes_before < $3::bigint
 order by page.bytes_before;
