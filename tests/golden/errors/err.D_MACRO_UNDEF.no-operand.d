/* $1 without an operand. */
BEGIN { trace($1); }
