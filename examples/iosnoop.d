#!/usr/bin/env -S rdtrace -qs
/*
 * Shows what is read from and written to disks: who asked for it, on which disk and where, how much, and how long it
 * took. Writes are mostly made by the kernel, long after a program has written to a file.
 *
 *     ./iosnoop.d
 *     ./iosnoop.d -c "sync"
 */

BEGIN
{
	printf("%-16s %7s %-10s %1s %12s %9s %12s\n", "PROGRAM", "PID", "DISK", "D", "BLOCK", "BYTES", "MICROSECONDS");
}

io:::start
{
	since[arg0] = timestamp;
	who[arg0] = execname;
	whose[arg0] = pid;
	bytes[arg0] = args[0]->b_bcount;
}

io:::done
/since[arg0]/
{
	printf("%-16s %7d %-10s %1s %12d %9d %12d\n", who[arg0], whose[arg0], args[1]->dev_statname,
	    args[0]->b_flags & B_WRITE ? "W" : "R", args[0]->b_blkno, bytes[arg0],
	    (timestamp - since[arg0]) / 1000);
	since[arg0] = 0;
	who[arg0] = NULL;
	whose[arg0] = 0;
	bytes[arg0] = 0;
}
