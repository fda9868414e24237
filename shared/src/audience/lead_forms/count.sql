select count(*) as forms from lead_forms;
