/* args: -q -x strsize=64k */
/* needs: frames (Linux 5.17) */
/* Strings of 64 KiB: in all kinds of variables, as keys, joined and cut, in timers, and after faults. */
string g;
string member[int];

BEGIN
{
	g = "0123456789abcdef";
	g = strjoin(g, g); g = strjoin(g, g); g = strjoin(g, g); g = strjoin(g, g);
	g = strjoin(g, g); g = strjoin(g, g); g = strjoin(g, g); g = strjoin(g, g);
	g = strjoin(g, g); g = strjoin(g, g); g = strjoin(g, g);
	this->s = strjoin(g, "end");
	member[1] = this->s;
	printf("%d %d %s\n", strlen(g), strlen(this->s), substr(member[1], 32764));
	printf("%d %d %d\n", index(this->s, "fe"), rindex(this->s, "01"), strstr(this->s, "fend") == "fend");
}

BEGIN
{
	this->long = strjoin(g, g);
	printf("%d %s\n", strlen(this->long), substr(this->long, 65530));
	printf("%s|%s\n", substr(strjoin(g, this->s), 65533), substr(g, 32760, 4));
	@[substr(g, 0, 8), strlen(g)] = count();
}

tick-1ms
{
	n++;
	this->t = strjoin(g, lltostr(n));
	this->zero = 0;
	printf("%s %d\n", substr(this->t, 32764), n < 8 ? 1 / this->zero : n);
}

ERROR
{
	faults++;
}

tick-1ms
/n == 8/
{
	printf("%d faults\n", faults);
	exit(0);
}
