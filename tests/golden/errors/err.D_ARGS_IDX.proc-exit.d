/* A probe that depends on another has the arguments that it shows, not those of the other one. */
proc:::exit { trace(args[1]); }
