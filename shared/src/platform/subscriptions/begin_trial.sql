select begin_trial($1, $2) as status;
