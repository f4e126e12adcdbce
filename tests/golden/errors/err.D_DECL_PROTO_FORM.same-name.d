/* Parameters have names of their own. */
inline int f[int a, int a] = a;
BEGIN { exit(0); }
