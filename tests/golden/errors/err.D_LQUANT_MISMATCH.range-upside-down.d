/* The upper bound of lquantize lies above the lower. */
BEGIN { @ = lquantize(1, 10, 0); }
