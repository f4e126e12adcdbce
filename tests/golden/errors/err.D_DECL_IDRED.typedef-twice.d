/* A typedef is defined once. */
typedef int number;
typedef int number;
BEGIN { exit(0); }
