/* The numbers of protocols, and the arguments of the ip provider's probes. */

inline int IPPROTO_IP = 0;
inline int IPPROTO_ICMP = 1;
inline int IPPROTO_IGMP = 2;
inline int IPPROTO_IPIP = 4;
inline int IPPROTO_TCP = 6;
inline int IPPROTO_EGP = 8;
inline int IPPROTO_PUP = 12;
inline int IPPROTO_UDP = 17;
inline int IPPROTO_IDP = 22;
inline int IPPROTO_TP = 29;
inline int IPPROTO_DCCP = 33;
inline int IPPROTO_IPV6 = 41;
inline int IPPROTO_RSVP = 46;
inline int IPPROTO_GRE = 47;
inline int IPPROTO_ESP = 50;
inline int IPPROTO_AH = 51;
inline int IPPROTO_OSPF = 89;
inline int IPPROTO_MTP = 92;
inline int IPPROTO_BEETPH = 94;
inline int IPPROTO_ENCAP = 98;
inline int IPPROTO_PIM = 103;
inline int IPPROTO_COMP = 108;
inline int IPPROTO_SCTP = 132;
inline int IPPROTO_UDPLITE = 136;
inline int IPPROTO_RAW = 255;
inline int IPPROTO_MAX = 256;
inline int IPPROTO_HOPOPTS = 0;
inline int IPPROTO_ROUTING = 43;
inline int IPPROTO_FRAGMENT = 44;
inline int IPPROTO_ICMPV6 = 58;
inline int IPPROTO_NONE = 59;
inline int IPPROTO_DSTOPTS = 60;
inline int IPPROTO_MH = 135;
inline int TCP_MIN_HEADER_LENGTH = 20;

typedef struct ipinfo {
	uint8_t ip_ver;
	uint32_t ip_plength;
	string ip_saddr;
	string ip_daddr;
} ipinfo_t;

typedef struct ifinfo {
	string if_name;
	int8_t if_local;
	netstackid_t if_ipstack;
	uintptr_t if_addr;
} ifinfo_t;

typedef struct ipv4info {
	uint8_t ipv4_ver;
	uint8_t ipv4_ihl;
	uint8_t ipv4_tos;
	uint16_t ipv4_length;
	uint16_t ipv4_ident;
	uint8_t ipv4_flags;
	uint16_t ipv4_offset;
	uint8_t ipv4_ttl;
	uint8_t ipv4_protocol;
	string ipv4_protostr;
	uint16_t ipv4_checksum;
	ipaddr_t ipv4_src;
	ipaddr_t ipv4_dst;
	string ipv4_saddr;
	string ipv4_daddr;
	struct iphdr *ipv4_hdr;
} ipv4info_t;

typedef struct ipv6info {
	uint8_t ipv6_ver;
	uint8_t ipv6_tclass;
	uint32_t ipv6_flow;
	uint16_t ipv6_plen;
	uint8_t ipv6_nexthdr;
	string ipv6_nextstr;
	uint8_t ipv6_hlim;
	in6_addr_t *ipv6_src;
	in6_addr_t *ipv6_dst;
	string ipv6_saddr;
	string ipv6_daddr;
	struct ipv6hdr *ipv6_hdr;
} ipv6info_t;

inline string ip_protocol_name[int number] =
	number == IPPROTO_TCP ? "TCP" :
	number == IPPROTO_UDP ? "UDP" :
	number == IPPROTO_IP ? "IP" :
	number == IPPROTO_ICMP ? "ICMP" :
	number == IPPROTO_IGMP ? "IGMP" :
	number == IPPROTO_EGP ? "EGP" :
	number == IPPROTO_IPV6 ? "IPv6" :
	number == IPPROTO_ROUTING ? "ROUTE" :
	number == IPPROTO_ESP ? "ESP" :
	number == IPPROTO_AH ? "AH" :
	number == IPPROTO_ICMPV6 ? "ICMPv6" :
	number == IPPROTO_OSPF ? "OSPF" :
	number == IPPROTO_SCTP ? "SCTP" :
	number == IPPROTO_RAW ? "RAW" :
	lltostr(number);

/* The header of a packet of either version, which its first four bits tell. */
typedef uintptr_t void_ip_t;

translator ipinfo_t < void_ip_t *header > {
	ip_ver = header == NULL ? 0 : *(uint8_t *)header >> 4;
	ip_plength = header == NULL ? 0 :
	    *(uint8_t *)header >> 4 == 4 ?
	    ntohs(((struct iphdr *)header)->tot_len) - ((*(uint8_t *)header & 0xf) << 2) :
	    ntohs(((struct ipv6hdr *)header)->payload_len);
	ip_saddr = header == NULL ? "<unknown>" :
	    *(uint8_t *)header >> 4 == 4 ? inet_ntoa(&((struct iphdr *)header)->saddr) :
	    inet_ntoa6(&((struct ipv6hdr *)header)->saddr);
	ip_daddr = header == NULL ? "<unknown>" :
	    *(uint8_t *)header >> 4 == 4 ? inet_ntoa(&((struct iphdr *)header)->daddr) :
	    inet_ntoa6(&((struct ipv6hdr *)header)->daddr);
};

translator ifinfo_t < struct net_device *device > {
	if_name = device == NULL ? "<unknown>" : stringof(device->name);
	if_local = device == NULL;
	if_ipstack = device == NULL ? 0 : (uint64_t)device->nd_net.net;
	if_addr = (uintptr_t)device;
};

translator ipv4info_t < struct iphdr *header > {
	ipv4_ver = header == NULL ? 0 : 4;
	ipv4_ihl = header == NULL ? 0 : (*(uint8_t *)header & 0xf) << 2;
	ipv4_tos = header == NULL ? 0 : header->tos;
	ipv4_length = header == NULL ? 0 : ntohs(header->tot_len);
	ipv4_ident = header == NULL ? 0 : ntohs(header->id);
	ipv4_flags = header == NULL ? 0 : ntohs(header->frag_off) >> 12;
	ipv4_offset = header == NULL ? 0 : ntohs(header->frag_off) & 0x0fff;
	ipv4_ttl = header == NULL ? 0 : header->ttl;
	ipv4_protocol = header == NULL ? 0 : header->protocol;
	ipv4_protostr = header == NULL ? "<null>" : ip_protocol_name[header->protocol];
	ipv4_checksum = header == NULL ? 0 : ntohs(header->check);
	ipv4_src = header == NULL ? 0 : header->saddr;
	ipv4_dst = header == NULL ? 0 : header->daddr;
	ipv4_saddr = header == NULL ? "<null>" : inet_ntoa(&header->saddr);
	ipv4_daddr = header == NULL ? "<null>" : inet_ntoa(&header->daddr);
	ipv4_hdr = header;
};

translator ipv6info_t < struct ipv6hdr *header > {
	ipv6_ver = header == NULL ? 0 : 6;
	ipv6_tclass = header == NULL ? 0 : (ntohl(*(uint32_t *)header) & 0x0fffffff) >> 20;
	ipv6_flow = header == NULL ? 0 : ntohl(*(uint32_t *)header) & 0x000fffff;
	ipv6_plen = header == NULL ? 0 : ntohs(header->payload_len);
	ipv6_nexthdr = header == NULL ? 0 : header->nexthdr;
	ipv6_nextstr = header == NULL ? "<null>" : ip_protocol_name[header->nexthdr];
	ipv6_hlim = header == NULL ? 0 : header->hop_limit;
	ipv6_src = header == NULL ? NULL : &header->saddr;
	ipv6_dst = header == NULL ? NULL : &header->daddr;
	ipv6_saddr = header == NULL ? "<null>" : inet_ntoa6(&header->saddr);
	ipv6_daddr = header == NULL ? "<null>" : inet_ntoa6(&header->daddr);
	ipv6_hdr = header;
};

translator pktinfo_t < struct sk_buff *packet > {
	pkt_addr = (uintptr_t)packet;
};

translator csinfo_t < struct sock *socket > {
	cs_addr = (uintptr_t)socket;
};
