/* A version is numbers. */
inline int x = 1;
#pragma D binding "1.x" x
BEGIN { exit(0); }
