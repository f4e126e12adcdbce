/* A variable that nothing declares or assigns. */
BEGIN { trace(nosuch); }
