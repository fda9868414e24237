select abandon_sign_ups($1);
