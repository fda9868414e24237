select address_hash, answer from cached_answers($1, $2, now() - make_interval(secs => $3));
