/* A program does not ask for libraries. */
#pragma D depends_on library errno.d
BEGIN { exit(0); }
