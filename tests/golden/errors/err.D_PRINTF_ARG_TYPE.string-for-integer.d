/* %d wants an integer. */
BEGIN { printf("%d", "string"); }
