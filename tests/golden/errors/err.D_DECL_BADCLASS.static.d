/* Storage classes of C that D does not have. */
static int x;
BEGIN { }
