/* There is one translator from a type to another. */
struct shown { int x; };
translator struct shown < int n > { x = n; };
translator struct shown < int m > { x = m; };
BEGIN { exit(0); }
