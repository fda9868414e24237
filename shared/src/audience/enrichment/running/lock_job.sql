-- Nothing is learned for an organization that is suspended or about to be deleted.
select j.*
  from enrichment_jobs j
 where j.id = $1
   and j.status = 'running'
   and j.selection is not null
   and exists (select from organizations o where o.id = j.organization_id and o.status = 'active')
   for update of j;
