select array[x.id::text] as place, row_to_json(x)::text as row
  from (select * from organizations where $1::text[] is null limit $2) as x;
