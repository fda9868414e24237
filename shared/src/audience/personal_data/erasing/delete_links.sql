delete from tracked_links where id = any ($1::uuid[]);
