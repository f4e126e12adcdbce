/* What strtok() has left of a string is there in later clauses, however many strings came between. */
string s, t, u, v;

BEGIN
{
	s = "one,two,three,four";
	t = strtok(s, ",");
	printf("%s\n", t);
}

BEGIN
{
	u = strjoin(s, "0"); v = strjoin(u, s);
	u = strjoin(s, "1"); v = strjoin(u, s);
	u = strjoin(s, "2"); v = strjoin(u, s);
	u = strjoin(s, "3"); v = strjoin(u, s);
	u = strjoin(s, "4"); v = strjoin(u, s);
	u = strjoin(s, "5"); v = strjoin(u, s);
	u = strjoin(s, "6"); v = strjoin(u, s);
	u = strjoin(s, "7"); v = strjoin(u, s);
	u = strjoin(s, "8"); v = strjoin(u, s);
	u = strjoin(s, "9"); v = strjoin(u, s);
	u = strjoin(s, "10"); v = strjoin(u, s);
	u = strjoin(s, "11"); v = strjoin(u, s);
	u = strjoin(s, "12"); v = strjoin(u, s);
	u = strjoin(s, "13"); v = strjoin(u, s);
	u = strjoin(s, "14"); v = strjoin(u, s);
	u = strjoin(s, "15"); v = strjoin(u, s);
	u = strjoin(s, "16"); v = strjoin(u, s);
	u = strjoin(s, "17"); v = strjoin(u, s);
	u = strjoin(s, "18"); v = strjoin(u, s);
	u = strjoin(s, "19"); v = strjoin(u, s);
	u = strjoin(s, "20"); v = strjoin(u, s);
	u = strjoin(s, "21"); v = strjoin(u, s);
	u = strjoin(s, "22"); v = strjoin(u, s);
	u = strjoin(s, "23"); v = strjoin(u, s);
	u = strjoin(s, "24"); v = strjoin(u, s);
	u = strjoin(s, "25"); v = strjoin(u, s);
	u = strjoin(s, "26"); v = strjoin(u, s);
	u = strjoin(s, "27"); v = strjoin(u, s);
	u = strjoin(s, "28"); v = strjoin(u, s);
	u = strjoin(s, "29"); v = strjoin(u, s);
	u = strjoin(s, "30"); v = strjoin(u, s);
	u = strjoin(s, "31"); v = strjoin(u, s);
	u = strjoin(s, "32"); v = strjoin(u, s);
	u = strjoin(s, "33"); v = strjoin(u, s);
	u = strjoin(s, "34"); v = strjoin(u, s);
	u = strjoin(s, "35"); v = strjoin(u, s);
	u = strjoin(s, "36"); v = strjoin(u, s);
	u = strjoin(s, "37"); v = strjoin(u, s);
	u = strjoin(s, "38"); v = strjoin(u, s);
	u = strjoin(s, "39"); v = strjoin(u, s);
}

BEGIN
{
	t = strtok(NULL, ",");
	printf("%s %s\n", t, v);
}

BEGIN
{
	u = strjoin(s, "0"); v = strjoin(u, s);
	u = strjoin(s, "1"); v = strjoin(u, s);
	u = strjoin(s, "2"); v = strjoin(u, s);
	u = strjoin(s, "3"); v = strjoin(u, s);
	u = strjoin(s, "4"); v = strjoin(u, s);
	u = strjoin(s, "5"); v = strjoin(u, s);
	u = strjoin(s, "6"); v = strjoin(u, s);
	u = strjoin(s, "7"); v = strjoin(u, s);
	u = strjoin(s, "8"); v = strjoin(u, s);
	u = strjoin(s, "9"); v = strjoin(u, s);
	u = strjoin(s, "10"); v = strjoin(u, s);
	u = strjoin(s, "11"); v = strjoin(u, s);
	u = strjoin(s, "12"); v = strjoin(u, s);
	u = strjoin(s, "13"); v = strjoin(u, s);
	u = strjoin(s, "14"); v = strjoin(u, s);
	u = strjoin(s, "15"); v = strjoin(u, s);
	u = strjoin(s, "16"); v = strjoin(u, s);
	u = strjoin(s, "17"); v = strjoin(u, s);
	u = strjoin(s, "18"); v = strjoin(u, s);
	u = strjoin(s, "19"); v = strjoin(u, s);
	u = strjoin(s, "20"); v = strjoin(u, s);
	u = strjoin(s, "21"); v = strjoin(u, s);
	u = strjoin(s, "22"); v = strjoin(u, s);
	u = strjoin(s, "23"); v = strjoin(u, s);
	u = strjoin(s, "24"); v = strjoin(u, s);
	u = strjoin(s, "25"); v = strjoin(u, s);
	u = strjoin(s, "26"); v = strjoin(u, s);
	u = strjoin(s, "27"); v = strjoin(u, s);
	u = strjoin(s, "28"); v = strjoin(u, s);
	u = strjoin(s, "29"); v = strjoin(u, s);
	u = strjoin(s, "30"); v = strjoin(u, s);
	u = strjoin(s, "31"); v = strjoin(u, s);
	u = strjoin(s, "32"); v = strjoin(u, s);
	u = strjoin(s, "33"); v = strjoin(u, s);
	u = strjoin(s, "34"); v = strjoin(u, s);
	u = strjoin(s, "35"); v = strjoin(u, s);
	u = strjoin(s, "36"); v = strjoin(u, s);
	u = strjoin(s, "37"); v = strjoin(u, s);
	u = strjoin(s, "38"); v = strjoin(u, s);
	u = strjoin(s, "39"); v = strjoin(u, s);
	t = strtok(NULL, ",");
}

BEGIN
{
	printf("%s\n", t);
	exit(0);
}
