# %T and %Y are dates of the time zone; their argument has 64 bits.
TZ=UTC $rdtrace -qn 'BEGIN { printf("[%T] [%-30T] [%Y]\n", (int64_t)1000000000000000000, 0UL, (int64_t)-1); exit(0); }'
TZ=EST5 $rdtrace -qn 'BEGIN { printf("[%T]\n", 0UL); exit(0); }'
