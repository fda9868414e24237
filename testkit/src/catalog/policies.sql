select format('%s: the policy %s is for PUBLIC', relname, polname)
  from policies
 where role is null
union all
-- Compared as a whole, since an expression that also names the tenant can still let everything through.
select format('%s: the policy %s does not compare %s with the tenant in USING', relname, polname, tenant_name)
  from policies
 where role is distinct from relowner
   and polpermissive
   and polcmd <> 'a'
   and coalesce(may_see not in (
           format('(%I = (NULLIF(current_setting(''app.organization_id''::text, true), ''''::text))::uuid)', tenant_name),
           format('(%I = ANY ((string_to_array(NULLIF(current_setting(''app.organization_ids''::text, true), ''''::text), '',''::text))::uuid[]))', tenant_name)), true)
union all
select format('%s: the policy %s does not compare %s with the tenant in WITH CHECK', relname, polname, tenant_name)
  from policies
 where role is distinct from relowner
   and polpermissive
   and polcmd not in ('r', 'd')
   and coalesce(may_write not in (
           format('(%I = (NULLIF(current_setting(''app.organization_id''::text, true), ''''::text))::uuid)', tenant_name),
           format('(%I = ANY ((string_to_array(NULLIF(current_setting(''app.organization_ids''::text, true), ''''::text), '',''::text))::uuid[]))', tenant_name)), true)
union all
-- Permissive policies widen each other.
select format('%s: %s has several policies for %s: %s', relname, role_name,
              case command when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' else 'DELETE' end,
              string_agg(polname, ', ' order by polname))
  from policies
  join unnest('{r,a,w,d}'::"char"[]) as command on polcmd in ('*', command)
 where polpermissive
 group by relname, role_name, command
having count(*) > 1
union all
-- The owner is subject to FORCE too: a backfill without this policy updates nothing and says nothing.
select format('%s: its owner has no policy for all rows', t.relname)
  from tenant_tables t
 where not exists (select from policies p
                    where p.relation = t.oid and p.role = t.relowner and p.polpermissive and p.polcmd = '*'
                      and p.may_see = 'true' and p.may_write = 'true')
union all
-- A lock (FOR SHARE, FOR UPDATE) under a policy for SELECT alone finds nothing and says nothing.
select distinct format('%s: %s has privileges but no policy for all commands', t.relname, g.grantee::regrole)
  from tenant_tables t
  join grants g on g.relation = t.oid and g.grantee <> 0
 where not exists (select from policies p
                    where p.relation = t.oid and p.role = g.grantee and p.polpermissive and p.polcmd = '*')
