/* What ERROR prints for BEGIN's faults comes behind what BEGIN prints. */
BEGIN { trace(*(int *)0); }
BEGIN { printf("b\n"); }
BEGIN { trace(*(int *)16); }
BEGIN { printf("c\n"); exit(0); }
ERROR { printf("E %x\n", arg5); }
ERROR { printf("F %x\n", arg5); }
END { printf("end\n"); }
