select * from custom_fields order by key;
