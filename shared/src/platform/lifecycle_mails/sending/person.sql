select email, first_name from person_who_signed_up($1);
