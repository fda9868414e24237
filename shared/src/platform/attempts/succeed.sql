-- This attempt was none that failed: it is taken back where others are counted too.
with forgotten as (
    delete from attempt_counts where key_hash = $1
), taken_back as (
    update attempt_counts set used = used - 1 where key_hash = any ($2::bytea[]) and used > 1
)
insert into attempt_counts (key_hash, window_start, used)
values ($3, now(), 1)
    on conflict (key_hash) do update set window_start = now();
