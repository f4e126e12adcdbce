/* A size is positive. */
int numbers[-1];
BEGIN { exit(0); }
