/* A member of a translated struct is the translator's expression, as the type that the member has. */
struct shown { int number; char low; char name[8]; string text; int other; };
translator struct shown < int n >
{
	number = n * 2;
	low = n;
	name = "ann";
	text = strjoin("n", lltostr(n));
	other = xlate <struct shown> (n + 1).number;
};
struct pair { int a; int b; };
translator struct shown < struct pair *p > { number = p->a + p->b; };
translator struct shown < struct pair p > { number = p.a - p.b; low = ((struct pair)p).a; };
struct pair both;

BEGIN
{
	this->n = 300;
	printf("%d %d %s %s %d\n", xlate <struct shown> (this->n).number, xlate <struct shown> (this->n).low,
	    xlate <struct shown> (this->n).name, xlate <struct shown> (this->n).text, xlate <struct shown> (this->n).other);
	both.a = 7;
	both.b = 5;
	printf("%d %d\n", xlate <struct shown> (both).number, xlate <struct shown> (both).low);
	printf("%d\n", xlate <struct shown *> ((char)5)->number);
	exit(0);
}
