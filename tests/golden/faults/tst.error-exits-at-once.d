/* After an exit() in ERROR, no later clause of the firing runs; ERROR's own do. */
/* status: 7 */
BEGIN { trace(*(int *)16); }
BEGIN { printf("not reached\n"); }
ERROR { exit(7); }
ERROR { printf("error\n"); }
END { printf("end\n"); }
