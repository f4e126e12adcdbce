#!/usr/bin/env -S rdtrace -qs
/*
 * Shows the audit events (PEP 578) of every Python on the machine: files opened, programs started...
 * with the first two arguments of each, where the Python has an audit marker: open '/dev/null' 'r'.
 *
 *     ./audit.d
 *     ./audit.d -c "python3 audit_events.py"
 */

python*:::audit
{
	printf("%Y %7d %-15s %s %s %s\n", walltimestamp, pid, execname, copyinstr(arg0), pyaudit(0), pyaudit(1));
}
