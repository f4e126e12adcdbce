/* An exit() counts, whatever becomes of its clause: the fault is told and the run ends. */
/* status: 3 */
BEGIN { exit(3); trace(copyinstr(8)); }
BEGIN { printf("not reached\n"); }
END { printf("end\n"); }
tick-10s { exit(9); }
