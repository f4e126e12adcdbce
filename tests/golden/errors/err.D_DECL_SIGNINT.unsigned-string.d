/* Only integers have a sign. */
unsigned string x;
BEGIN { exit(0); }
