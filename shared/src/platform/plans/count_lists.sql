select count(*) as used from lists;
