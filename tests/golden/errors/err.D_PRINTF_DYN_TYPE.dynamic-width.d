/* `*` wants an integer. */
BEGIN { printf("%*d", "wide", 1); }
