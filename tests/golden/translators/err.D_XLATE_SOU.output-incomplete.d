/* The output must be defined. */
translator struct nosuch_shown < int n > { x = n; };
BEGIN { exit(0); }
