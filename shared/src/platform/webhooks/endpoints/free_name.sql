-- Another workflow may be called so at once.
update workflows
   set name = id::text
 where id = $1;
