#!/usr/bin/env -S rdtrace -qs
/*
 * Shows the TCP connections of the machine: who asks for one and whether it is accepted, what comes from others, and
 * how long each lasts.
 *
 *     ./tcp.d
 *     ./tcp.d -c "curl -s http://example.org"
 */

BEGIN
{
	printf("%-8s %-21s    %-21s %s\n", "WHAT", "LOCAL", "REMOTE", "");
}

tcp:::connect-request
{
	who[arg1] = execname;
	asked[arg1] = timestamp;
}

tcp:::connect-established
/asked[arg1]/
{
	printf("%-8s %15s:%-5d -> %15s:%-5d %s, after %d us\n", "connect", args[3]->tcps_laddr, args[3]->tcps_lport,
	    args[3]->tcps_raddr, args[3]->tcps_rport, who[arg1], (timestamp - asked[arg1]) / 1000);
	since[arg1] = timestamp;
}

tcp:::connect-refused
/asked[arg1]/
{
	printf("%-8s %15s:%-5d -> %15s:%-5d %s\n", "refused", args[3]->tcps_laddr, args[3]->tcps_lport,
	    args[3]->tcps_raddr, args[3]->tcps_rport, who[arg1]);
}

tcp:::accept-established
{
	printf("%-8s %15s:%-5d <- %15s:%-5d\n", "accept", args[3]->tcps_laddr, args[3]->tcps_lport,
	    args[3]->tcps_raddr, args[3]->tcps_rport);
	since[arg1] = timestamp;
}

tcp:::state-change
/args[3]->tcps_state == TCP_STATE_CLOSED/
{
	asked[arg1] = 0;
}

tcp:::state-change
/args[3]->tcps_state == TCP_STATE_CLOSED && since[arg1]/
{
	printf("%-8s %15s:%-5d -- %15s:%-5d after %d ms\n", "close", args[3]->tcps_laddr, args[3]->tcps_lport,
	    args[3]->tcps_raddr, args[3]->tcps_rport, (timestamp - since[arg1]) / 1000000);
	since[arg1] = 0;
	who[arg1] = NULL;
}
