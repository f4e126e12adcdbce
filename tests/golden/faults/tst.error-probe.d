/* A fault fires dtrace:::ERROR, with the kind of fault in arg4 and the address in arg5. */
ERROR { printf("ERROR %d %d %d\n", arg1 > 0, arg4, arg5); }
BEGIN { x = copyinstr(8); }
BEGIN { zero = 0; y = 1 / zero; }
BEGIN { exit(0); }
