select exists (select from attempt_counts where key_hash = $1 and window_start > now() - make_interval(secs => $2));
