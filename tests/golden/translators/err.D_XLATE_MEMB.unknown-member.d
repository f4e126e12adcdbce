/* A translator defines members of its output. */
struct shown { int x; };
translator struct shown < int n > { y = n; };
BEGIN { exit(0); }
