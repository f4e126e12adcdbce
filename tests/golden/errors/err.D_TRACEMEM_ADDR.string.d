/* A string has no address. */
BEGIN { tracemem("a", 4); }
