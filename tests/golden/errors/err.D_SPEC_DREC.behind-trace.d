/* A record is speculative as a whole. */
BEGIN { trace(1); speculate(1); }
