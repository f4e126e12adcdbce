/* Byte order, device numbers, rand and progenyof. */
int x;

BEGIN
{
	x = 0x12345678;
	printf("%x %x %x\n", htons(x), htonl(x), htonll(0x123456789abcdef0));
	printf("%x %x %x\n", ntohs(htons(x)), ntohl(htonl(x)), ntohll(1));
	printf("%d %d\n", getmajor(x), getminor(x));
	printf("%d %d\n", progenyof(pid), progenyof(ppid));
}

BEGIN
/htons(1) == 256 && getmajor(x) == 0x123 && progenyof($pid) && !progenyof(999999999)/
{
	x = rand();
	printf("%d\n", rand() != x || rand() != x);
	exit(0);
}
