select sweep_answers(now() - make_interval(secs => $1), $2);
