update onboarding
   set step = $1,
       full_name = $2,
       business_name = $3,
       company_name = $4,
       industry = $5,
       brand_description = $6,
       completed_at = coalesce(completed_at, $7);
