/* The arguments of system() are checked as those of printf(). */
BEGIN { system("%d", "a"); }
