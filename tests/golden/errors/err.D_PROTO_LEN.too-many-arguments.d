/* A subroutine with a wrong number of arguments. */
BEGIN { trace(strlen("a", "b")); }
