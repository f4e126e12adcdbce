/* To commit is all that a clause does to the output. */
BEGIN { commit(1); exit(0); }
