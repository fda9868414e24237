-- One statement, at whose end the positions are unique again: their constraint is deferrable for this.
update steps
   set position = position - 1
 where campaign_id = $1
   and position > $2;
