#!/usr/bin/env -S rdtrace -qs
/*
 * Shows who calls the Python function $$1: the stacks in which it starts, and how often.
 *
 *     ./whocalls.d right_leaf -c "python3 flame.py"
 *     ./whocalls.d dumps -p PID
 */

python$target:::function-entry
/copyinstr(arg1) == $$1/
{
	@callers[jstack()] = count();
}
