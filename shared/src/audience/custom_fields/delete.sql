delete from custom_fields where id = $1;
