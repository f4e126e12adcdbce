/* A division by zero ends its clause, is told on standard error, and the next clause runs. */
BEGIN { x = 0; printf("before\n"); y = 5 / x; printf("not reached\n"); }
BEGIN { printf("next\n"); exit(0); }
