-- In the order of their ids; who they are matters to nobody but the next statement.
select count(*)
  from (select e.id
          from enrollments e
         where e.campaign_id = $1
           and e.next_due_at is not null
         order by e.organization_id, e.id
           for update of e) as locked;
