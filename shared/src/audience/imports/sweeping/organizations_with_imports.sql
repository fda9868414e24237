select organizations_with_imports_untouched_since(now() - make_interval(secs => $1));
