/* Of two speculations the committed one shows where it is committed, the other not at all; a third is not to be had. */
#pragma D option nspec=2
BEGIN { s = speculation(); t = speculation(); u = speculation(); printf("%d %d %d\n", s, t, u); }
BEGIN { speculate(u); printf("never\n"); }
BEGIN { speculate(t); printf("two\n"); trace(5); }
BEGIN { speculate(s); printf("one\n"); }
BEGIN { printf("plain\n"); }
BEGIN { commit(t); }
BEGIN { discard(s); }
BEGIN { commit(0); discard(0); }
BEGIN { speculate(t); printf("late\n"); }
BEGIN { commit(t); }
BEGIN { exit(0); }
