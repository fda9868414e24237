select organizations_with_deltas();
