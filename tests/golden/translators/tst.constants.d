/* The constants and types of the libraries are there without being asked for. */
BEGIN
{
	printf("%d %d %d %d\n", ENOENT, EAGAIN, SIGKILL, SIGUSR1);
	printf("%d %d %d %d\n", O_RDONLY, O_CREAT, AF_INET6, IPPROTO_UDP);
	printf("%d %s\n", TCP_STATE_LISTEN, tcp_state_string[TCP_STATE_CLOSE_WAIT]);
	printf("%d %d %d\n", DTRACEFLT_DIVZERO, R_RIP, B_WRITE);
	printf("%d %d\n", sizeof (lwpsinfo_t), sizeof (bufinfo_t));
	exit(0);
}
