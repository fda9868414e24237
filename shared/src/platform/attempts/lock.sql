-- In the order in which attempts are counted.
select from attempt_counts where key_hash = any ($1::bytea[]) order by key_hash for update;
