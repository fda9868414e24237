-- No more of them are counted than matter.
select count(*) as used from (select from list_members where list_id = $1 limit $2) as members;
