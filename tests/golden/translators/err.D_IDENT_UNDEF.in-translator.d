/* A translator is checked where it is declared. */
struct shown { int x; };
translator struct shown < int n > { x = nosuch; };
BEGIN { exit(0); }
