/* Enumerators of all enums share their names. */
enum a { ONE, TWO };
enum b { TWO, THREE };
BEGIN { exit(0); }
