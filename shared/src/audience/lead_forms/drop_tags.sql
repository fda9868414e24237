delete from lead_form_tags where lead_form_id = $1;
