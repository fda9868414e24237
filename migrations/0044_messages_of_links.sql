-- The first message that has a link, and the first other one. A link in the mails of one person alone is erased with them; to look for
-- it in everybody else's mails takes longer than a request may where there are a million. Null, null: a link from before this was kept.
alter table tracked_links
    add column message_id uuid,
    add column other_message_id uuid,
    add constraint tracked_links_messages_check check (other_message_id is null or message_id <> other_message_id);
grant update (other_message_id) on tracked_links to martlet_sender;
-- To lock what is erased, in the order of whoever stores links.
grant update (other_message_id) on tracked_links to martlet_app;

-- Links that one message alone has had, by that message.
create index tracked_links_message_idx on tracked_links (organization_id, message_id)
    where message_id is not null and other_message_id is null;
