#!/usr/bin/env -S rdtrace -qs
/*
 * Shows how long Python's garbage collections stop the program, by generation.
 *
 *     ./gc.d -c "python3 gc_cycles.py"
 *     ./gc.d -p PID                        (until Ctrl-C)
 */

#pragma D option aggsortkey

python$target:::gc-start
{
	self->generation = arg0;
	self->start = timestamp;
}

python$target:::gc-done
/self->start/
{
	@pauses[self->generation] = quantize(timestamp - self->start);
	@collected[self->generation] = sum(arg0);
	self->start = 0;
}

END
{
	printa("generation %d: nanoseconds per collection%@d", @pauses);
	printa("generation %d: %@d objects collected\n", @collected);
}
