/* ERROR can end the run. */
/* status: 4 */
BEGIN { x = *(int *)0; }
ERROR { exit(4); }
tick-10s { exit(9); }
