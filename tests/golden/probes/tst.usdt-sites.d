/* A USDT probe fires at each of its sites, where its arguments lie in other places. */
/* trigger: usdt.c */
test$target:::one { printf("%s %d %d %s\n", probefunc, arg0, arg1, copyinstr(arg2)); }
