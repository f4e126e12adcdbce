#!/usr/bin/env -S rdtrace -q --format top -s
/*
 * Shows live, on a screen, in which Python functions a program spends its time on CPUs: by itself, and with what they call.
 *
 *     ./top.d -c "python3 flame.py"
 *     ./top.d -p PID
 */

profile-199
/pid == $target/
{
	@samples[jstack()] = count();
}
