/* profile fires on every CPU, with all units of time. */
profile-997hz { @n = count(); }
profile-10ms { @m = count(); }
tick-300msec { exit(0); }
END { clear(@n); clear(@m); printa("%@d", @n); printa(" %@d\n", @m); }
