delete from address_lists where list = $1;
