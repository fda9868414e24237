-- Of two events at once the second sees what the first has done.
select s.status, s.paid_plan, o.plan_type, o.plan_source
  from subscriptions s
  join organizations o on o.id = s.organization_id
   for update of s;
