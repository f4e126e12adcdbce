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
	self->gc_generation = arg0;
	self->gc_start = timestamp;
}

python$target:::gc-done
/self->gc_start/
{
	@pauses[self->gc_generation] = quantize(timestamp - self->gc_start);
	@collected[self->gc_generation] = sum(arg0);
	self->gc_start = 0;
}

END
{
	printa("generation %d: nanoseconds per collection%@d", @pauses);
	printa("generation %d: %@d objects collected\n", @collected);
}
