/* An option that does not exist is told with its line. */
#pragma D option nosuch=4
BEGIN { }
