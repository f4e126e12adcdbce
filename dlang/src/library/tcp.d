/* The flags of TCP headers, the states of connections, and the arguments of the tcp provider's probes. */

inline int TH_FIN = 0x1;
inline int TH_SYN = 0x2;
inline int TH_RST = 0x4;
inline int TH_PSH = 0x8;
inline int TH_ACK = 0x10;
inline int TH_URG = 0x20;
inline int TH_ECE = 0x40;
inline int TH_CWR = 0x80;

inline int TCP_STATE_IDLE = 0;
inline int TCP_STATE_ESTABLISHED = 1;
inline int TCP_STATE_SYN_SENT = 2;
inline int TCP_STATE_SYN_RECEIVED = 3;
inline int TCP_STATE_FIN_WAIT_1 = 4;
inline int TCP_STATE_FIN_WAIT_2 = 5;
inline int TCP_STATE_TIME_WAIT = 6;
inline int TCP_STATE_CLOSED = 7;
inline int TCP_STATE_CLOSE_WAIT = 8;
inline int TCP_STATE_LAST_ACK = 9;
inline int TCP_STATE_LISTEN = 10;
inline int TCP_STATE_CLOSING = 11;

inline string tcp_state_string[int state] =
	state == TCP_STATE_IDLE ? "state-idle" :
	state == TCP_STATE_ESTABLISHED ? "state-established" :
	state == TCP_STATE_SYN_SENT ? "state-syn-sent" :
	state == TCP_STATE_SYN_RECEIVED ? "state-syn-received" :
	state == TCP_STATE_FIN_WAIT_1 ? "state-fin-wait-1" :
	state == TCP_STATE_FIN_WAIT_2 ? "state-fin-wait-2" :
	state == TCP_STATE_TIME_WAIT ? "state-time-wait" :
	state == TCP_STATE_CLOSED ? "state-closed" :
	state == TCP_STATE_CLOSE_WAIT ? "state-close-wait" :
	state == TCP_STATE_LAST_ACK ? "state-last-ack" :
	state == TCP_STATE_LISTEN ? "state-listen" :
	state == TCP_STATE_CLOSING ? "state-closing" :
	"<unknown>";

typedef struct tcpinfo {
	uint16_t tcp_sport;
	uint16_t tcp_dport;
	uint32_t tcp_seq;
	uint32_t tcp_ack;
	uint8_t tcp_offset;
	uint8_t tcp_flags;
	uint16_t tcp_window;
	uint16_t tcp_checksum;
	uint16_t tcp_urgent;
	uintptr_t tcp_hdr;
} tcpinfo_t;

typedef struct tcpsinfo {
	uintptr_t tcps_addr;
	int tcps_local;
	uint16_t tcps_lport;
	uint16_t tcps_rport;
	string tcps_laddr;
	string tcps_raddr;
	int tcps_state;
	uint32_t tcps_iss;
	uint32_t tcps_suna;
	uint32_t tcps_snxt;
	uint32_t tcps_rnxt;
	uint32_t tcps_swnd;
	int32_t tcps_snd_ws;
	uint32_t tcps_rwnd;
	int32_t tcps_rcv_ws;
	uint32_t tcps_cwnd;
	uint32_t tcps_cwnd_ssthresh;
	uint32_t tcps_sack_snxt;
	uint32_t tcps_rto;
	uint32_t tcps_mss;
	int tcps_retransmit;
	uint32_t tcps_rtt;
	uint32_t tcps_rtt_sd;
	uint32_t tcps_irs;
} tcpsinfo_t;

typedef struct tcplsinfo {
	int tcps_state;
} tcplsinfo_t;

translator tcpinfo_t < struct tcphdr *header > {
	tcp_sport = header == NULL ? 0 : ntohs(header->source);
	tcp_dport = header == NULL ? 0 : ntohs(header->dest);
	tcp_seq = header == NULL ? 0 : ntohl(header->seq);
	tcp_ack = header == NULL ? 0 : ntohl(header->ack_seq);
	tcp_offset = header == NULL ? 0 : (*((uint8_t *)header + 12) & 0xf0) >> 2;
	tcp_flags = header == NULL ? 0 : *((uint8_t *)header + 13);
	tcp_window = header == NULL ? 0 : ntohs(header->window);
	tcp_checksum = header == NULL ? 0 : ntohs(header->check);
	tcp_urgent = header == NULL ? 0 : ntohs(header->urg_ptr);
	tcp_hdr = (uintptr_t)header;
};

/*
 * The probes of tcp say more than they show: arg2 and arg4 are the headers of a packet, arg5 is the new state of a
 * connection, and arg6 which way a packet goes, or that there is none. What the socket does not know yet
 * is in the headers.
 */
translator tcpsinfo_t < struct tcp_sock *socket > {
	tcps_addr = (uintptr_t)socket;
	tcps_local = socket == NULL ? 0 :
	    ((struct sock *)socket)->__sk_common.skc_family == AF_INET ?
	    ((struct sock *)socket)->__sk_common.skc_rcv_saddr == ((struct sock *)socket)->__sk_common.skc_daddr : 0;
	tcps_lport = socket != NULL ? (((struct inet_sock *)socket)->inet_sport != 0 ?
	    ntohs(((struct inet_sock *)socket)->inet_sport) : ((struct sock *)socket)->__sk_common.skc_num) :
	    arg4 == 0 ? 0 :
	    arg6 == NET_PROBE_INBOUND ? ntohs(((struct tcphdr *)arg4)->dest) : ntohs(((struct tcphdr *)arg4)->source);
	tcps_rport = socket != NULL ? ntohs(((struct sock *)socket)->__sk_common.skc_dport) :
	    arg4 == 0 ? 0 :
	    arg6 == NET_PROBE_INBOUND ? ntohs(((struct tcphdr *)arg4)->source) : ntohs(((struct tcphdr *)arg4)->dest);
	tcps_laddr = socket != NULL ?
	    (((struct sock *)socket)->__sk_common.skc_family == AF_INET ?
	    inet_ntoa(&((struct sock *)socket)->__sk_common.skc_rcv_saddr) :
	    inet_ntoa6(&((struct sock *)socket)->__sk_common.skc_v6_rcv_saddr)) :
	    arg2 == 0 ? "<unknown>" :
	    *(uint8_t *)arg2 >> 4 == 4 ?
	    inet_ntoa((ipaddr_t *)(arg2 + (arg6 == NET_PROBE_INBOUND ? 16 : 12))) :
	    inet_ntoa6((in6_addr_t *)(arg2 + (arg6 == NET_PROBE_INBOUND ? 24 : 8)));
	tcps_raddr = socket != NULL ?
	    (((struct sock *)socket)->__sk_common.skc_family == AF_INET ?
	    inet_ntoa(&((struct sock *)socket)->__sk_common.skc_daddr) :
	    inet_ntoa6(&((struct sock *)socket)->__sk_common.skc_v6_daddr)) :
	    arg2 == 0 ? "<unknown>" :
	    *(uint8_t *)arg2 >> 4 == 4 ?
	    inet_ntoa((ipaddr_t *)(arg2 + (arg6 == NET_PROBE_INBOUND ? 12 : 16))) :
	    inet_ntoa6((in6_addr_t *)(arg2 + (arg6 == NET_PROBE_INBOUND ? 8 : 24)));
	tcps_state = arg6 == NET_PROBE_STATE ? arg5 :
	    socket == NULL ? 0 : ((struct sock *)socket)->__sk_common.skc_state;
	tcps_iss = socket == NULL ? 0 : socket->snd_una - (uint32_t)socket->bytes_acked;
	tcps_suna = socket == NULL ? 0 : socket->snd_una;
	tcps_snxt = socket == NULL ? 0 : socket->snd_nxt;
	tcps_rnxt = socket == NULL ? 0 : socket->rcv_nxt;
	tcps_swnd = socket == NULL ? 0 : socket->snd_wnd;
	tcps_snd_ws = socket == NULL ? 0 : socket->rx_opt.snd_wscale;
	tcps_rwnd = socket == NULL ? 0 : socket->rcv_wnd;
	tcps_rcv_ws = socket == NULL ? 0 : socket->rx_opt.rcv_wscale;
	tcps_cwnd = socket == NULL ? 0 : socket->snd_cwnd;
	tcps_cwnd_ssthresh = socket == NULL ? 0 : socket->snd_ssthresh;
	tcps_rto = socket == NULL ? 0 : socket->inet_conn.icsk_rto;
	tcps_mss = socket == NULL ? 0 : socket->mss_cache;
	tcps_rtt = socket == NULL ? 0 : (socket->srtt_us >> 3) / 1000;
	tcps_rtt_sd = socket == NULL ? 0 : (socket->mdev_us >> 2) / 1000;
	tcps_irs = socket == NULL ? 0 :
	    socket->bytes_received > 0 ? socket->rcv_nxt - (uint32_t)socket->bytes_received : 0;
};

/* Where there is no segment, the socket says what one that goes the way of arg6 would. */
translator ipinfo_t < struct sock *socket > {
	ip_ver = socket->__sk_common.skc_family == AF_INET ? 4 : 6;
	ip_plength = 0;
	ip_saddr = socket->__sk_common.skc_family == AF_INET ?
	    inet_ntoa(arg6 == NET_PROBE_INBOUND ? &socket->__sk_common.skc_daddr : &socket->__sk_common.skc_rcv_saddr) :
	    inet_ntoa6(arg6 == NET_PROBE_INBOUND ?
	    &socket->__sk_common.skc_v6_daddr : &socket->__sk_common.skc_v6_rcv_saddr);
	ip_daddr = socket->__sk_common.skc_family == AF_INET ?
	    inet_ntoa(arg6 == NET_PROBE_INBOUND ? &socket->__sk_common.skc_rcv_saddr : &socket->__sk_common.skc_daddr) :
	    inet_ntoa6(arg6 == NET_PROBE_INBOUND ?
	    &socket->__sk_common.skc_v6_rcv_saddr : &socket->__sk_common.skc_v6_daddr);
};

translator tcpinfo_t < struct sock *socket > {
	tcp_sport = arg6 == NET_PROBE_INBOUND ? ntohs(socket->__sk_common.skc_dport) : socket->__sk_common.skc_num;
	tcp_dport = arg6 == NET_PROBE_INBOUND ? socket->__sk_common.skc_num : ntohs(socket->__sk_common.skc_dport);
	tcp_seq = 0;
	tcp_ack = 0;
	tcp_offset = 0;
	tcp_flags = 0;
	tcp_window = 0;
	tcp_checksum = 0;
	tcp_urgent = 0;
	tcp_hdr = 0;
};

/* The state before: the socket has the new one only after the probe has fired. */
translator tcplsinfo_t < int state > {
	tcps_state = arg3 == 0 ? 0 : ((struct sock *)arg3)->__sk_common.skc_state;
};
