/* An array's keys keep their types. */
BEGIN { x[1] = 1; x["a"] = 2; }
