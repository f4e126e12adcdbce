/* A clause runs only where its predicate is true, and the next clause all the same. */
BEGIN /0/ { printf("never\n"); }
BEGIN /1/ { printf("one\n"); x = 5; }
BEGIN /x == 5 && "abc" < "abd"/ { printf("x is 5\n"); }
BEGIN /x == 5 ^^ x == 5/ { printf("never\n"); }
BEGIN /probename == "BEGIN"/ { printf("by name\n"); }
BEGIN /!x || x > 10/ { printf("never\n"); }
BEGIN { exit(0); }
