select name, maximum from plan_limits where plan_type = $1;
