/* Keys of several types and columns are padded by type and sorted by value. */
BEGIN
{
	@a["bb", 22] = sum(-7);
	@a["a", 1] = sum(5);
	@b[(char)-1, (short)2, 3, 4ull] = count();
	@c[""] = count();
	exit(0);
}
