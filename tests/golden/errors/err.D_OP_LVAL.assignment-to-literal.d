/* Only variables can be assigned. */
BEGIN { 5 = 6; }
