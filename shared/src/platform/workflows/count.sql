select count(*) from workflows;
