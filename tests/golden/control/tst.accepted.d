/* Forms that DTrace 2.0.7 accepts, with what it prints for them. */
typedef unsigned char byte; typedef long mylong; struct s { int a; int b; };
typedef int (*fp)(int); typedef struct { int xx; } st, *stp;
string s;
BEGIN /x == 0 && s2 == ""/ { x = 1; s2 = "a"; printf("%d\n", x); }
BEGIN { this->p = (struct s *)16; printf("%d %d %d\n", (mylong)&this->p->b, (byte)-1, (u8) - 2); this->xx = 5; printf("%d %d\n", (this->xx) - 1, (x) + 1); y = 3; printf("%d\n", (y) * 2);
 s = "hello"; printf("%d %c %d [%s]\n", s[0], s[1], s[9], s + 2); printf("%d %d\n", *s, "abc"[1]); printf("%d %d %d\n", sizeof(s[0]), sizeof(*s), sizeof("abc" + 1));
 self->string = 5; this->self = 6; self->int = 7; printf("%d %d %d\n", self->string, this->self, self->int);
 1 ? printf("yes\n") : 1; 0 ? @a = count() : 1; 1 ? @b = count() : 1; trace("\z\q\n"); printf("%d %d %d\n", '\377', '\200' == (char)0x80, 'ab'); printf("[%C][%5C]", 10, 65);
 @c["a"] = sum(10); printa("%-6s|%@8d|%8@d|%-8@d|%08@d|%.5@d|\n", @c, @c, @c, @c, @c); exit(0); }
