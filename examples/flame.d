#!/usr/bin/env -S rdtrace -qs
/*
 * Shows where a Python program spends its time on CPUs, by stacks: 997 times a second, the functions that it is in.
 *
 *     ./flame.d -c "python3 flame.py"
 *     ./flame.d -p PID
 */

profile-997
/pid == $target/
{
	@samples[jstack()] = count();
}
