/* The format of freopen() is a literal. */
BEGIN { freopen(execname); }
