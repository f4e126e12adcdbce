/* Only what the translator defines can be used. */
struct shown { int x; int y; };
translator struct shown < int n > { x = n; };
BEGIN { trace(xlate <struct shown> (5).y); exit(0); }
