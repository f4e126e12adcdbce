/* inline constants and enumerators stand for their values. */
inline int SIZE = 7;
inline string NAME = "inline";
enum color { RED, GREEN = 5, BLUE };
BEGIN { printf("%d %s %d %d %d\n", SIZE * 2, NAME, RED, GREEN, BLUE); exit(0); }
