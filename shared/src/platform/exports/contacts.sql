-- A contact holds up to a mebibyte of its imported row: a page ends when it has four of them, with one contact at least.
select array[x.id::text] as place, row_to_json(x)::text as row
  from (select c.id, c.email, c.name, c.first_name, c.last_name, c.company, c.status, c.timezone, c.custom, c.raw_data,
               c.import_batch_id, c.source, c.created_at, c.updated_at
          from (select *, sum(coalesce(octet_length(raw_data::text), 0)) over (order by id)
                          - coalesce(octet_length(raw_data::text), 0) as bytes_before
                  from contacts
                 where id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
                 order by id
                 limit $2) as c
         where c.bytes_before < 4194304
         order by c.id) as x;
