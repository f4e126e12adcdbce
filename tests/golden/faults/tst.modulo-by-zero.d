/* So does a remainder, in a predicate too. */
BEGIN { x = 0; }
BEGIN / 5 % x / { printf("not reached\n"); }
BEGIN { printf("next\n"); exit(0); }
