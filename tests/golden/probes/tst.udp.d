/*
 * Datagrams and the packets that carry them: ports, addresses and lengths, with headers.
 */
/* trigger: network.py 4 */
udp:::send,
udp:::receive
/args[4]->udp_dport == 47812/
{
	@datagrams[probeprov, probemod, probename, args[4]->udp_length, args[2]->ip_plength, args[3]->udps_laddr, args[3]->udps_raddr] = count();
}

udp:::send
/args[3]->udps_rport == 47812/
{
	@sent["sent", args[3]->udps_lport == args[4]->udp_sport] = count();
}

udp:::receive
/args[3]->udps_lport == 47812/
{
	@sent["received", args[3]->udps_rport == args[4]->udp_sport] = count();
}

ip:::send,
ip:::receive
/args[4]->ipv4_protocol == IPPROTO_UDP && args[4]->ipv4_length == 36 && args[3]->if_name == "lo" && args[4]->ipv4_dst == htonl(0x7f000001)/
{
	@packets[probename, args[2]->ip_ver, args[4]->ipv4_protostr, args[4]->ipv4_saddr, args[4]->ipv4_ihl, args[5]->ipv6_ver] = max(1);
}

END
{
	printa("%s:%s::%s %d of %d, %s and %s: %@d\n", @datagrams);
	printa("%s %d: %@d\n", @sent);
	printa("%s version %d, %s from %s, %d %d: %@d\n", @packets);
}
