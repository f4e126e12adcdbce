/* A division of constants by zero is refused at once. */
BEGIN { trace(1 / 0); }
