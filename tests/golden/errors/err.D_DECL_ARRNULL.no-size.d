/* An array variable has a size. */
int numbers[];
BEGIN { exit(0); }
