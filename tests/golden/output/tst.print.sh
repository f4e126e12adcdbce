# print() shows what a pointer leads to with the names of its types and members; what is 0 is left out.
$rdtrace -qs /dev/stdin <<'D' | sed 's/^0x[0-9a-f]* =/ADDRESS =/'
enum level { LOW = 1, HIGH };
typedef struct point { int x; int y; } point_t;
union word { unsigned int whole; uint8_t low; };
struct all {
	enum level level, other; char text[8]; point_t at[2]; union word word; unsigned int one : 3, two : 5;
	point_t *pointer; double ratio; float none; struct { short n; } inner; size_t size;
};
struct all all;
BEGIN
{
	all.level = HIGH; all.other = 9; all.text[0] = 'h'; all.text[1] = 'i'; all.text[4] = 'x';
	all.at[1].y = -4; all.word.whole = 0x1234; all.one = 5; all.two = 9; all.pointer = (point_t *)0x10;
	all.inner.n = 7; all.size = 3;
	this->all = (struct all *)alloca(sizeof (struct all));
	*this->all = all;
	*(uint64_t *)&this->all->ratio = 0x4004000000000000;
	print(this->all);
	print(&all.at[1]);
	print(&all.text[1]);
	print(&all.level);
	exit(0);
}
D
$rdtrace -q -x printsize=6 -n 'struct s { short a; int b; int c; }; BEGIN { this->p = (struct s *)alloca(12); this->p->a = 1; this->p->b = 2; this->p->c = 3; print(this->p); exit(0); }' | sed 's/^0x[0-9a-f]* =/ADDRESS =/'
$rdtrace -q -x oformat=json -n 'struct s { short a; int b[3]; char c; }; struct s s; BEGIN { s.a = -1; s.b[1] = 2; s.c = 65; print(&s.b); print(&s.a); exit(0); }' | sed -n 's/"address":[0-9]*/"address":0/g; s/.*"output":/"output":/p'
