-- One statement, at whose end the positions are unique again: their constraint is deferrable for this.
update steps s
   set position = wanted.position
  from unnest($2::uuid[]) with ordinality as wanted (id, position)
 where s.campaign_id = $1
   and s.id = wanted.id;
