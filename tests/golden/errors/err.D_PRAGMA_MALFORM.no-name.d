/* Attributes are those of a name. */
#pragma D attributes Stable/Stable/Common
BEGIN { exit(0); }
