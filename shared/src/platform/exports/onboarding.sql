select array[x.organization_id::text] as place, row_to_json(x)::text as row
  from (select * from onboarding where $1::text[] is null limit $2) as x;
