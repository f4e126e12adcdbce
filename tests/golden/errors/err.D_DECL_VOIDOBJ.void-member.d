/* A member has a size. */
struct s { void nothing; };
BEGIN { exit(0); }
