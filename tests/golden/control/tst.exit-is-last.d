/* After exit() nothing fires but END: not even the later clauses of the same probe. */
BEGIN { printf("first\n"); exit(0); printf("same clause\n"); }
BEGIN { printf("late\n"); }
END { printf("END\n"); }
