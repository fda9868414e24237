-- Shared with claims, against an unsubscribe or a suppression, which has the contact exclusively.
select id, timezone from contacts where id = any ($1::uuid[]) order by id for share;
