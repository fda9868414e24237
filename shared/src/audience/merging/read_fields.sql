-- In the order in which they are named.
select d.snapshot -> 'contact' as contact
  from unnest($1::uuid[]) with ordinality as named (id, turn)
  join deleted_contacts d on d.id = named.id
 order by named.turn;
