-- Nobody is asked for by due time here: that is the claim's question.
select organizations_with_work('-infinity', now() - make_interval(secs => $1), now() - make_interval(secs => $2));
