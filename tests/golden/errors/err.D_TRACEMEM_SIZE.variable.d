/* What a record takes is known before. */
BEGIN { tracemem(1, pid); }
