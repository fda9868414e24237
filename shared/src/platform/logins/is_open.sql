-- In a statement after the lock on the person, behind which whoever ends all of their sessions has done so.
select exists (select from sessions_of_user($1) as s where s.id = $2);
