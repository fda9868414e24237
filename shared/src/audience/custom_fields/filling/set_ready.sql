update custom_fields set state = 'ready' where id = $1;
