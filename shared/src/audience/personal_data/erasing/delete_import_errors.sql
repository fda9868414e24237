delete from import_errors
 where names_person(raw, $1)
    or names_person(reason, $1);
