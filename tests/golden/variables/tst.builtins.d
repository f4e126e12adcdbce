/* Built-in variables agree with each other and with the macros. */
BEGIN
{
	printf("%d %d %d\n", pid == $pid, uid == $uid, gid == $gid);
	printf("%d %d %s\n", tid == pid, timestamp > 0, execname);
	t = timestamp;
	printf("%d %d\n", timestamp >= t, walltimestamp > 1700000000000000000);
	printf("%d %d %d\n", id > 0, epid > 0, arg0);
	exit(0);
}
