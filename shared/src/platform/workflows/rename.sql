update workflows
   set name = coalesce($2, name)
 where id = $1;
