/* A translator makes a struct or union. */
translator int < int n > { x = n; };
BEGIN { exit(0); }
