select organizations_with_exports_untouched_since(now() - make_interval(secs => $1));
