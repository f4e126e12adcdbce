/* A function that D does not have. */
BEGIN { nosuch(1); }
