select name from lists where id = $1;
