/* Every unit suffix is accepted. */
tick-5000000ns { a = 1; }
tick-5000000nsec { b = 1; }
tick-5000us { c = 1; }
tick-5000usec { d = 1; }
tick-5ms { e = 1; }
tick-5msec { f = 1; }
tick-200hz { g = 1; }
tick-200 { h = 1; }
tick-1s, tick-1sec, tick-1m, tick-1min, tick-1h, tick-1hour, tick-1d, tick-1day { exit(1); }
tick-100ms
{
	printf("%d%d%d%d%d%d%d%d\n", a, b, c, d, e, f, g, h);
	exit(0);
}
