/* A subroutine with an argument of a wrong type. */
BEGIN { trace(strjoin("a", 1)); }
