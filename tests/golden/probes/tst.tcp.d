/*
 * TCP connections of a program to itself: who asks, who accepts, who is refused, through which states each end goes,
 * and the segments that open them. The addresses are those of both ends.
 */
/* trigger: network.py 3 */
tcp:::connect-request,
tcp:::connect-established,
tcp:::connect-refused
/args[3]->tcps_rport == 47811/
{
	@ends[probename, args[3]->tcps_raddr, args[2]->ip_ver, args[2]->ip_daddr == "127.0.0.1"] = count();
}

tcp:::accept-established,
tcp:::accept-refused
/args[4]->tcp_dport == 47811/
{
	@ends[probename, args[2]->ip_saddr, args[2]->ip_ver, args[1]->cs_addr == arg1] = count();
}

tcp:::state-change
/args[3]->tcps_rport == 47811/
{
	@client["client", tcp_state_string[args[5]->tcps_state], tcp_state_string[args[3]->tcps_state]] = count();
}

tcp:::state-change
/args[3]->tcps_lport == 47811/
{
	@server["server", tcp_state_string[args[5]->tcps_state], tcp_state_string[args[3]->tcps_state]] = count();
}

tcp:::send
/args[4]->tcp_flags & TH_SYN && (args[4]->tcp_dport == 47811 || args[4]->tcp_sport == 47811)/
{
	@packets[probename, args[4]->tcp_flags, args[4]->tcp_dport == 47811, args[3]->tcps_rport == args[4]->tcp_dport, args[2]->ip_plength >= 40] = count();
}

tcp:::receive
/args[4]->tcp_flags & TH_SYN && (args[4]->tcp_dport == 47811 || args[4]->tcp_sport == 47811)/
{
	@packets[probename, args[4]->tcp_flags, args[4]->tcp_dport == 47811, args[3]->tcps_lport == args[4]->tcp_dport, args[3]->tcps_raddr == args[2]->ip_saddr] = count();
}

END
{
	printa("%s %s %d %d: %@d\n", @ends);
	printa("%s %s -> %s: %@d\n", @client);
	printa("%s %s -> %s: %@d\n", @server);
	printa("%s %#x %d %d %d: %@d\n", @packets);
}
