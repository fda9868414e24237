-- A few of what is over, each time: more than are added, so the table does not grow for ever. Whoever is at one keeps it.
delete from attempt_counts
 where key_hash = any (array(
       select c.key_hash
         from attempt_counts c
        where c.window_start < now() - make_interval(secs => $1)
        order by c.window_start
        limit 10
          for update skip locked));
