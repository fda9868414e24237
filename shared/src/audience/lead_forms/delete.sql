delete from lead_forms where id = $1;
