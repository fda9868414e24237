select organization_of_stripe_customer($1) as id;
