update organizations set plan_type = $1, plan_source = $2;
