/* A probe behind a semaphore is enabled; its constants are extended as the note says. */
/* trigger: usdt.c */
test$target:::guarded { printf("%d %d\n", arg0, arg1); }
