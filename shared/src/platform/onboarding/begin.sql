select begin_onboarding($1, $2, $3, $4, $5);
