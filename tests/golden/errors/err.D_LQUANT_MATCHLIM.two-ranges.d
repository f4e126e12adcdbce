/* An lquantize aggregation has one range. */
BEGIN { @ = lquantize(1, 0, 10); @ = lquantize(1, 0, 20); }
