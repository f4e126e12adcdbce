/* Aggregations cannot be taken back. */
BEGIN { speculate(1); @ = count(); }
