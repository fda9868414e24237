select coalesce(b.step, 'pending') as step, b.full_name, b.business_name, b.company_name, b.industry, b.brand_description,
       coalesce(b.signed_up_at, o.created_at) as signed_up_at, b.completed_at
  from organizations o
  left join onboarding b on b.organization_id = o.id;
