/* exit(n) ends the run with status n. status: see below */
/* status: 3 */
BEGIN { exit(3); }
END { printf("END runs\n"); }
