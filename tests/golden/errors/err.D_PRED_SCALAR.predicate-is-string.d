/* A predicate is a number or a pointer. */
BEGIN /"text"/ { }
