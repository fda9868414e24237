select organizations_with_learning_untouched_since(now() - make_interval(secs => $1));
