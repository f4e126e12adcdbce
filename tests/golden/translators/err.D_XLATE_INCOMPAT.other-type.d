/* An expression has the type of its member. */
struct shown { int x; };
translator struct shown < int n > { x = "text"; };
BEGIN { exit(0); }
