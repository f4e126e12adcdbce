/*
 * Addresses of IPv6 as those of IPv4 are: in keys and predicates, of sockets and of headers.
 */
/* trigger: network.py 2 ::1 */
tcp:::connect-established,
tcp:::connect-refused
/args[3]->tcps_rport == 47811/
{
	@ends[probename, args[3]->tcps_laddr, args[3]->tcps_raddr, args[2]->ip_ver, args[2]->ip_daddr == "::1"] = count();
}

tcp:::send,
tcp:::receive
/args[4]->tcp_flags == TH_SYN && args[4]->tcp_dport == 47811/
{
	@segments[probename, args[3]->tcps_laddr, args[3]->tcps_raddr, args[2]->ip_saddr] = count();
}

udp:::send,
udp:::receive
/args[4]->udp_dport == 47812/
{
	@datagrams[probename, args[3]->udps_laddr, args[3]->udps_raddr, args[2]->ip_daddr] = count();
}

ip:::send,
ip:::receive
/args[2]->ip_ver == 6 && args[2]->ip_plength == 16 && args[2]->ip_saddr == "::1"/
{
	@packets[probename, args[5]->ipv6_saddr, args[5]->ipv6_daddr, args[5]->ipv6_nextstr, args[4]->ipv4_saddr] = max(1);
}

END
{
	printa("%s %s %s %d %d: %@d\n", @ends);
	printa("%s %s %s %s: %@d\n", @segments);
	printa("%s %s %s %s: %@d\n", @datagrams);
	printa("%s %s %s %s %s: %@d\n", @packets);
}
