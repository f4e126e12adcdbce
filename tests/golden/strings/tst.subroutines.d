/* String subroutines. */
BEGIN
{
	printf("%d %d\n", strlen(""), strlen("twelve chars"));
	printf("%s|%s|%s\n", strjoin("a", "b"), strjoin("", "x"), strjoin(strjoin("1", "-"), "2"));
	printf("%s|%s|%s\n", substr("abcdef", 2), substr("abcdef", 1, 2), substr("abcdef", -2));
	printf("%s|%s\n", strchr("a/b/c", '/'), strrchr("a/b/c", '/'));
	printf("%s|%d\n", strstr("haystack", "st"), strstr("haystack", "zz") == NULL);
	printf("%d %d %d\n", index("abcabc", "c"), rindex("abcabc", "c"), index("abc", "z"));
	printf("%s %s\n", lltostr(-42), lltostr(1ull << 40));
	exit(0);
}
