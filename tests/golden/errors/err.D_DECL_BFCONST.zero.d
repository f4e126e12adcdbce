/* A bit-field has bits. */
struct s { int bits : 0; };
BEGIN { exit(0); }
