select oldest_unresolved_seconds();
