/* The null string: compared, kept and chosen as any other; its other uses are faults. */
string g, e[int];
self string t, u;

BEGIN
{
	printf("%d %d %d\n", g == NULL, self->t == NULL, e[1] == NULL);
	g = NULL; self->t = ""; e[1] = "";
	printf("%d %d %d\n", g == NULL, self->t == NULL, e[1] == NULL);
	g = strchr("abc", 'z'); e[1] = g;
	printf("%d %d %d\n", g == NULL, e[1] == NULL, (pid ? self->u : "x") == NULL);
	printf("%d %d %d\n", self->u == "", self->u == g, self->u < "");
	self->t = "x"; self->t = NULL;
}

BEGIN
/self->t == NULL/
{
	printf("strlen: ");
	printf("%d\n", strlen(self->t));
}

BEGIN { trace(strstr("abc", "x")); }
BEGIN { @[e[7]] = count(); }
BEGIN { printf("%s", strjoin("a", self->t)); }
BEGIN { exit(0); }
ERROR { printf("ERROR %d %d\n", arg4, arg5); }
