/* Memory as a hex dump, and as much of it as the third argument says: less than nothing is all. */
BEGIN
{
	x = (uint64_t)curthread->comm;
	tracemem(curthread->comm, 7); tracemem(x, 20, 3); tracemem(x, 16, 0); tracemem(x, 4, 50); tracemem(x + 2, 4, 0 - 1);
}
BEGIN { exit(0); }
