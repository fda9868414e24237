update lead_form_usage
   set accepted = accepted + $2,
       refused = refused + $3,
       trapped = trapped + $4,
       not_listed = not_listed + $5
 where lead_form_id = $1;
