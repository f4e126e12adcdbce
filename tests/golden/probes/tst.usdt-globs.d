/* Globs in descriptions, for providers, functions and names. */
/* trigger: usdt.c */
test*:::o?e { @[probename, probefunc] = count(); }
test$target::m*:[gx]uarded { @[probename, probefunc] = count(); }
