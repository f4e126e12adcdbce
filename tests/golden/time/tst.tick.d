/* tick fires in time; the count is bounded by what exit() says. */
tick-20ms { printf("tick %d\n", ++n); }
tick-20ms /n == 3/ { exit(0); }
