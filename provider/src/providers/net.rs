//! The `ip`, `tcp` and `udp` providers: packets, and the states of connections.
//!
//! A packet is seen where it is given to a network device and where it comes from one: at the tracepoints
//! `net_dev_queue` and `netif_receive_skb`. What is sent has the offsets of its headers (`network_header`,
//! `transport_header`); of what is received only the IP header has been found, at `data`. DTrace's probes are
//! at functions a step higher, which sees the same packets but for those that a firewall drops and, among those
//! received, those that are sent on to other machines.
//!
//! The states of connections are those of `inet_sock_set_state`: a change that is about to be made. The end of
//! `TIME_WAIT` is none, since another socket stands for it.
//!
//! Beside what is shown the translators want to know which way a packet goes, in `arg6` of `tcp` and `arg5` of
//! `udp`: 0 out, 1 in, 2 a change of state (`NET_PROBE_OUTBOUND` and its like in `net.d`).

use super::dependents::{Dependents, On, Row, tracepoint};

/// `ETH_P_IP` and `ETH_P_IPV6` as a packet has them, in network byte order.
macro_rules! is_ip4 {
    () => {
        "args[0]->protocol == 0x0008"
    };
}
macro_rules! is_ip6 {
    () => {
        "args[0]->protocol == 0xdd86"
    };
}

/// The IP header of what is sent, and of what is received.
macro_rules! sent {
    () => {
        "(args[0]->head + args[0]->network_header)"
    };
}
macro_rules! received {
    () => {
        "args[0]->data"
    };
}

/// Whether the IP header is followed by one of this protocol.
macro_rules! carries {
    ($header:expr, $number:literal) => {
        concat!(
            "(",
            is_ip4!(),
            " ? *(uint8_t *)(",
            $header,
            " + 9) == ",
            $number,
            " : ",
            is_ip6!(),
            " && *(uint8_t *)(",
            $header,
            " + 6) == ",
            $number,
            ")"
        )
    };
}

/// Whether what is received is for this machine, or for all.
macro_rules! is_for_us {
    () => {
        "args[0]->pkt_type < 3"
    };
}

/// What follows the IP header of what is received: its length is in its first byte.
macro_rules! behind_received {
    () => {
        concat!(
            "(args[0]->data + (",
            is_ip4!(),
            " ? (*(uint8_t *)args[0]->data & 0xf) << 2 : 40))"
        )
    };
}

const PACKET: &[(u8, &str)] = &[
    (0, "pktinfo_t *"),
    (1, "csinfo_t *"),
    (2, "ipinfo_t *"),
    (3, "ifinfo_t *"),
    (4, "ipv4info_t *"),
    (5, "ipv6info_t *"),
];

const NO_NETWORK: &str = "it has no network (CONFIG_NET)";

/// The `ip` provider.
pub(super) const IP: Dependents = Dependents {
    name: "ip",
    summary: "`ip`",
    probes: &[
        Row {
            name: "receive",
            args: PACKET,
            on: &[tracepoint(
                "netif_receive_skb",
                concat!(is_for_us!(), " && (", is_ip4!(), " || ", is_ip6!(), ")"),
                &[
                    "args[0]",
                    "args[0]->sk",
                    concat!("(void_ip_t *)", received!()),
                    "args[0]->dev",
                    concat!(
                        is_ip4!(),
                        " ? (struct iphdr *)",
                        received!(),
                        " : (struct iphdr *)0"
                    ),
                    concat!(
                        is_ip6!(),
                        " ? (struct ipv6hdr *)",
                        received!(),
                        " : (struct ipv6hdr *)0"
                    ),
                ],
            )],
            lack: NO_NETWORK,
        },
        Row {
            name: "send",
            args: PACKET,
            on: &[tracepoint(
                "net_dev_queue",
                concat!(is_ip4!(), " || ", is_ip6!()),
                &[
                    "args[0]",
                    "args[0]->sk",
                    concat!("(void_ip_t *)", sent!()),
                    "args[0]->dev",
                    concat!(
                        is_ip4!(),
                        " ? (struct iphdr *)",
                        sent!(),
                        " : (struct iphdr *)0"
                    ),
                    concat!(
                        is_ip6!(),
                        " ? (struct ipv6hdr *)",
                        sent!(),
                        " : (struct ipv6hdr *)0"
                    ),
                ],
            )],
            lack: NO_NETWORK,
        },
    ],
};

/// The arguments of a segment.
const SEGMENT: &[(u8, &str)] = &[
    (0, "pktinfo_t *"),
    (1, "csinfo_t *"),
    (2, "ipinfo_t *"),
    (3, "tcpsinfo_t *"),
    (4, "tcpinfo_t *"),
];

/// The same of a change of state, where there is no segment at hand: what is known is known of the socket.
const CONNECTION: &[(u8, &str)] = &[
    (0, "pktinfo_t *"),
    (1, "csinfo_t *"),
    (1, "ipinfo_t *"),
    (3, "tcpsinfo_t *"),
    (1, "tcpinfo_t *"),
];

/// A change of a connection's state under a condition, as a packet that goes this way has brought it about.
macro_rules! on_state {
    ($when:literal, $way:literal) => {
        tracepoint(
            "inet_sock_set_state",
            concat!("args[0]->sk_protocol == 6 && ", $when),
            &[
                "(struct sk_buff *)0",
                "args[0]",
                "0",
                "(struct tcp_sock *)args[0]",
                "0",
                "args[2]",
                $way,
            ],
        )
    };
}

/// A connection to where nobody listens is answered by a reset.
const REFUSES: On = tracepoint(
    "tcp_send_reset",
    "args[1] != NULL && (args[0] == NULL || args[0]->__sk_common.skc_state == 10) \
     && (*(uint8_t *)(args[1]->head + args[1]->transport_header + 13) & 0x12) == 0x02",
    &[
        "args[1]",
        "args[0]",
        "(void_ip_t *)(args[1]->head + args[1]->network_header)",
        "(struct tcp_sock *)0",
        "(struct tcphdr *)(args[1]->head + args[1]->transport_header)",
        "0",
        "1",
    ],
);

/// The `tcp` provider. The states: 1 established, 2 `SYN_SENT`, 3 `SYN_RECEIVED`, 7 closed.
pub(super) const TCP: Dependents = Dependents {
    name: "tcp",
    summary: "`tcp`",
    probes: &[
        Row {
            name: "accept-established",
            args: CONNECTION,
            on: &[on_state!("args[1] == 3 && args[2] == 1", "1")],
            lack: NO_NETWORK,
        },
        Row {
            name: "accept-refused",
            args: SEGMENT,
            on: &[REFUSES],
            lack: NO_NETWORK,
        },
        Row {
            name: "connect-established",
            args: CONNECTION,
            on: &[on_state!("args[1] == 2 && args[2] == 1", "1")],
            lack: NO_NETWORK,
        },
        Row {
            name: "connect-refused",
            args: CONNECTION,
            on: &[on_state!(
                "args[1] == 2 && args[2] == 7 && args[0]->sk_err == 111",
                "1"
            )],
            lack: NO_NETWORK,
        },
        Row {
            name: "connect-request",
            args: CONNECTION,
            on: &[on_state!("args[1] == 7 && args[2] == 2", "0")],
            lack: NO_NETWORK,
        },
        Row {
            name: "receive",
            args: SEGMENT,
            on: &[tracepoint(
                "netif_receive_skb",
                concat!(is_for_us!(), " && ", carries!(received!(), "6")),
                &[
                    "args[0]",
                    "args[0]->sk",
                    concat!("(void_ip_t *)", received!()),
                    "(struct tcp_sock *)0",
                    concat!("(struct tcphdr *)", behind_received!()),
                    "0",
                    "1",
                ],
            )],
            lack: NO_NETWORK,
        },
        Row {
            name: "send",
            args: SEGMENT,
            on: &[tracepoint(
                "net_dev_queue",
                carries!(sent!(), "6"),
                &[
                    "args[0]",
                    "args[0]->sk",
                    concat!("(void_ip_t *)", sent!()),
                    "(struct tcp_sock *)args[0]->sk",
                    "(struct tcphdr *)(args[0]->head + args[0]->transport_header)",
                    "0",
                    "0",
                ],
            )],
            lack: NO_NETWORK,
        },
        Row {
            name: "state-change",
            args: &[
                (0, "pktinfo_t *"),
                (1, "csinfo_t *"),
                (1, "ipinfo_t *"),
                (3, "tcpsinfo_t *"),
                (1, "tcpinfo_t *"),
                (5, "tcplsinfo_t *"),
            ],
            on: &[on_state!("1", "2")],
            lack: NO_NETWORK,
        },
    ],
};

/// The arguments of a datagram.
const DATAGRAM: &[(u8, &str)] = &[
    (0, "pktinfo_t *"),
    (1, "csinfo_t *"),
    (2, "ipinfo_t *"),
    (3, "udpsinfo_t *"),
    (4, "udpinfo_t *"),
];

/// The `udp` provider.
pub(super) const UDP: Dependents = Dependents {
    name: "udp",
    summary: "`udp`",
    probes: &[
        Row {
            name: "receive",
            args: DATAGRAM,
            on: &[tracepoint(
                "netif_receive_skb",
                concat!(is_for_us!(), " && ", carries!(received!(), "17")),
                &[
                    "args[0]",
                    "args[0]->sk",
                    concat!("(void_ip_t *)", received!()),
                    "(struct udp_sock *)args[0]->sk",
                    concat!("(struct udphdr *)", behind_received!()),
                    "1",
                ],
            )],
            lack: NO_NETWORK,
        },
        Row {
            name: "send",
            args: DATAGRAM,
            on: &[tracepoint(
                "net_dev_queue",
                carries!(sent!(), "17"),
                &[
                    "args[0]",
                    "args[0]->sk",
                    concat!("(void_ip_t *)", sent!()),
                    "(struct udp_sock *)args[0]->sk",
                    "(struct udphdr *)(args[0]->head + args[0]->transport_header)",
                    "0",
                ],
            )],
            lack: NO_NETWORK,
        },
    ],
};
