delete from lead_form_lists where lead_form_id = $1;
