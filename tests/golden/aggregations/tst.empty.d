/* An aggregation that never got a value prints nothing. */
BEGIN /0/ { @ = count(); }
BEGIN { exit(0); }
