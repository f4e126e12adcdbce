/* The arguments of the udp provider's probes. */

typedef struct udpinfo {
	uint16_t udp_sport;
	uint16_t udp_dport;
	uint16_t udp_length;
	uint16_t udp_checksum;
	struct udphdr *udp_hdr;
} udpinfo_t;

typedef struct udpsinfo {
	uintptr_t udps_addr;
	uint16_t udps_lport;
	uint16_t udps_rport;
	string udps_laddr;
	string udps_raddr;
} udpsinfo_t;

translator udpinfo_t < struct udphdr *header > {
	udp_sport = ntohs(header->source);
	udp_dport = ntohs(header->dest);
	udp_length = ntohs(header->len);
	udp_checksum = ntohs(header->check);
	udp_hdr = header;
};

/* What is not shown: arg2 and arg4 are the headers, arg5 says which way the packet goes. */
translator udpsinfo_t < struct udp_sock *socket > {
	udps_addr = (uintptr_t)socket;
	udps_lport = arg5 == NET_PROBE_INBOUND ? ntohs(((struct udphdr *)arg4)->dest) : ntohs(((struct udphdr *)arg4)->source);
	udps_rport = arg5 == NET_PROBE_INBOUND ? ntohs(((struct udphdr *)arg4)->source) : ntohs(((struct udphdr *)arg4)->dest);
	udps_laddr = *(uint8_t *)arg2 >> 4 == 4 ?
	    inet_ntoa((ipaddr_t *)(arg2 + (arg5 == NET_PROBE_INBOUND ? 16 : 12))) :
	    inet_ntoa6((in6_addr_t *)(arg2 + (arg5 == NET_PROBE_INBOUND ? 24 : 8)));
	udps_raddr = *(uint8_t *)arg2 >> 4 == 4 ?
	    inet_ntoa((ipaddr_t *)(arg2 + (arg5 == NET_PROBE_INBOUND ? 12 : 16))) :
	    inet_ntoa6((in6_addr_t *)(arg2 + (arg5 == NET_PROBE_INBOUND ? 8 : 24)));
};
