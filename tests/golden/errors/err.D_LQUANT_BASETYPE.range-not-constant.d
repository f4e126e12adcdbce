/* The bounds of lquantize are constants. */
BEGIN { x = 1; @ = lquantize(1, x, 10); }
