/* What cannot be undone is not speculated. */
BEGIN { speculate(speculation()); system("true"); }
