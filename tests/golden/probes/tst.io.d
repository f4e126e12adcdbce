/*
 * What a program writes to a disk and waits for is written by the kernel: to which disk, how much, and that it is done.
 */
/* trigger: writes.py */
io:::start
/pid == $target && args[0]->b_flags & B_WRITE && args[0]->b_bcount >= 4096/
{
	asked[arg0] = args[0]->b_blkno + 1;
	@asked[probeprov, probemod, args[0]->b_bcount == args[0]->b_bufsize, args[1]->dev_statname != "<none>", args[2]->fi_name] = max(1);
	@place[args[1]->dev_pathname == strjoin("/dev/", args[1]->dev_statname), args[0]->b_edev == (args[1]->dev_major << 20 | args[1]->dev_minor)] = max(1);
}

io:::done
/asked[arg0]/
{
	@done[probename, args[0]->b_error] = max(1);
	asked[arg0] = 0;
}
