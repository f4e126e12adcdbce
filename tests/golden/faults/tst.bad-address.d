/* A string at a bad address is a fault. */
BEGIN { printf("[%s]\n", copyinstr(0)); }
BEGIN { printf("next\n"); exit(0); }
