/* One clause on several probes. */
/* trigger: usdt.c */
test$target:::one, test$target:::guarded, BEGIN, END { printf("%s\n", probename); }
