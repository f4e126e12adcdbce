/* A number is free again as soon as its speculation has ended; strings and conditions are as in any record. */
BEGIN { i = 0; }
tick-1ms /i < 4/ { self->s = speculation(); }
tick-1ms /i < 4/ { speculate(self->s); printf("%d %s %s\n", self->s, probename, strjoin("n", lltostr(i))); }
tick-1ms /i < 4/ { speculate(self->s); if (i == 2) { printf("two\n"); } else { printf("not two\n"); } }
tick-1ms /i < 4 && i % 2 == 0/ { commit(self->s); }
tick-1ms /i < 4 && i % 2 == 1/ { discard(self->s); }
tick-1ms { i++; }
tick-1ms /i == 5/ { exit(0); }
