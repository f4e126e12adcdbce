/* A probe that does not exist. */
foo:::bar { trace(1); }
