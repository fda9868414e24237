-- The first message that has a link, and the first other one. A link in the mails of one person alone is erased with them; to look for
-- it in everybody else's mails takes longer than a request may where there are a million. Null, null: a link from before this was kept.
alter table tracked_links
    add column message_id uuid,
    add column other_message_id uuid,
    add constraint tracked_links_messages_check check (other_message_id is null or message_id <> other_message_id);
grant update (other_message_id) on tracked_links to martlet_sender;
