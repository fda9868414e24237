select count(*) as contacts from list_members where list_id = $1 and contact_id <= $2;
