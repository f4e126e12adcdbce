/* A bit-field is no wider than its type. */
struct s { int bits : 33; };
BEGIN { exit(0); }
