/* void stands alone. */
int f(void, int);
BEGIN { exit(0); }
