#!/usr/bin/env -S rdtrace -qs
/*
 * Shows the audit events (PEP 578) of every Python on the machine: files opened, programs started...
 *
 *     ./audit.d
 *     ./audit.d -c "python3 audit_events.py"
 */

python*:::audit
{
	printf("%Y %7d %-15s %s\n", walltimestamp, pid, execname, copyinstr(arg0));
}
