-- The plan goes with the trial that lent it, unless it comes from elsewhere since.
with expired as (
    update subscriptions
       set trial_status = 'expired'
     where trial_status = 'active'
       and trial_ends_at <= $1
    returning organization_id
)
update organizations o
   set plan_type = 'free', plan_source = 'default'
  from expired e
 where o.id = e.organization_id
   and o.plan_source = 'trial';
