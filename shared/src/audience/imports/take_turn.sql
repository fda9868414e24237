-- In an organization one chunk at a time in each lane. An address that somebody else has made since we looked is looked at
-- again, out of the order in which everybody locks contacts; with this nobody makes many at once but us, and lanes have no
-- address in common, so no circle can form. A gate, so it comes before the contacts; of two the first comes first.
-- The commit need not wait for the disk: a chunk that a crash of the server loses takes its place in the file along, and is
-- done again.
select pg_advisory_xact_lock(hashtextextended('imports:' || $1::uuid::text, lane)), set_config('synchronous_commit', 'off', true)
  from unnest($2::bigint[]) as lane
 order by lane;
