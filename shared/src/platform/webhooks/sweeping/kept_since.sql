select now() - make_interval(secs => $1);
