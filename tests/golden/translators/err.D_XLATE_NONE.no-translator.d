/* Without a translator there is no translation. */
struct shown { int x; };
BEGIN { trace(xlate <struct shown> (5).x); exit(0); }
