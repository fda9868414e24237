update organizations set plan_type = $1;
