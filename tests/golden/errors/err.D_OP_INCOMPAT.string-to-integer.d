/* A string cannot be stored in an integer. */
int x;
BEGIN { x = "string"; }
