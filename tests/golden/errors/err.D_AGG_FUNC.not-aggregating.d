/* What is assigned to an aggregation is an aggregating function. */
BEGIN { @a = strlen("x"); }
