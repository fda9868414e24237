insert into personas (organization_id, person_id, text, model)
values ($1, $2, $3, $4)
    on conflict (organization_id, person_id) do update
   set text = excluded.text,
       model = excluded.model
 where (personas.text, personas.model) is distinct from (excluded.text, excluded.model);
