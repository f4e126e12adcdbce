/* A size is a number. */
BEGIN { tracemem(1, "a"); }
