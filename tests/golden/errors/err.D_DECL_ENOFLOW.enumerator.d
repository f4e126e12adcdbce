/* An enumerator is an int. */
enum { LARGEST = 2147483647, MORE };
BEGIN { exit(0); }
