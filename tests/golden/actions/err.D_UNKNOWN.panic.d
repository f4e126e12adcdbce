/* What DTrace for Linux does not have either is refused by name. */
BEGIN { panic(); }
