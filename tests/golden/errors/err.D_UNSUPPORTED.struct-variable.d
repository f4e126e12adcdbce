/* What D has and rdtrace lacks is refused at its place. */
struct s { int x; } v;
BEGIN { }
