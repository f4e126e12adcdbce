/* END's exit() has the last word, and its later clauses run. */
/* status: 9 */
BEGIN { exit(2); }
END { exit(8); exit(9); }
END { printf("end\n"); }
