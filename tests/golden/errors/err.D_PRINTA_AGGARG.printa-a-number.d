/* printa takes an aggregation. */
BEGIN { printa("%d", 1); }
