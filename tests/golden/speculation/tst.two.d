/* Of two speculations the committed one shows where it is committed, the other not at all; a third is not to be had. */
/* args: -Z */
#pragma D option nspec=2
BEGIN { s = speculation(); t = speculation(); u = speculation(); printf("%d %d %d", s, t, u); }
BEGIN { speculate(u); printf("never"); }
BEGIN { speculate(t); printf("two"); trace(5); }
BEGIN { speculate(s); printf("one"); }
BEGIN { printf("plain"); }
BEGIN { commit(t); }
BEGIN { discard(s); }
BEGIN { commit(77); discard(0 - 5); }
BEGIN { speculate(t); printf("late"); }
BEGIN { commit(t); }
BEGIN { exit(0); }
