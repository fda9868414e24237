select organizations_with_jobs_untouched_since(now() - make_interval(secs => $1));
