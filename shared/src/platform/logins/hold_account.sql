-- Whoever ends all sessions of somebody locks the person before the sessions, and so does whoever opens one by another.
select from users where id = $1 for no key update;
