select array[x.id] as place, row_to_json(x)::text as row
  from (select *
          from stripe_customers
         where id > coalesce(($1::text[])[1], '')
         order by id
         limit $2) as x;
