update custom_fields set name = $2 where id = $1;
