/* To commit is all that a clause does to the output. */
BEGIN { printf("x"); commit(1); }
