select now() - make_interval(secs => $1) as silent_since, now() - make_interval(secs => $2) as kept_since;
