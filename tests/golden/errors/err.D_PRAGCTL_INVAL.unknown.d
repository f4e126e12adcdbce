/* A control line is known. */
#nothing
BEGIN { exit(0); }
