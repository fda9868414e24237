delete from contact_tags where contact_id = $1 and tag_id = $2;
