-- Before the import, since the deletion of a list takes the list first and then the imports that name it.
select id
  from lists
 where id = (select list_id from import_batches where id = $1)
   for key share;
