/* A bit-field is an integer. */
struct s { int *bits : 3; };
BEGIN { exit(0); }
