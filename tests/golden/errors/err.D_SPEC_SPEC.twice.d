/* One record is of one speculation. */
BEGIN { speculate(1); speculate(2); }
