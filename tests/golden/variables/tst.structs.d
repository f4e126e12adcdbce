/* Structs, unions and arrays in variables of every scope: whole and by member. */
struct s { int a; char b[8]; };
struct n { struct s in; int k[3]; unsigned low : 3; int high : 5; };
union u { int i; char c[4]; };
struct s x;
self struct s ts;
this struct s ls;
struct s arr[int];
self struct s byname[string];
struct n y;
union u w;
int five[5];
this char text[4];
BEGIN { x.a = 5; x.b[0] = 'h'; x.b[1] = 'i'; printf("%d %s %c\n", x.a, x.b, x.b[1]); }
BEGIN { this->ls = x; this->ls.b[2] = '!'; printf("%d %s %s\n", this->ls.a, this->ls.b, x.b); }
BEGIN { self->ts = this->ls; self->ts.a += 2; printf("%d %s\n", self->ts.a, self->ts.b); }
BEGIN { arr[1] = x; arr[1].a = 9; arr[2].a++; printf("%d %s %d [%s] %d\n", arr[1].a, arr[1].b, arr[2].a, arr[2].b, arr[3].a); }
BEGIN { self->byname["k"] = arr[1]; printf("%d %d\n", self->byname["k"].a, self->byname["l"].a); }
BEGIN { y.in = x; y.k[2] = 4; y.low = 9; y.high = -3; printf("%d %d %d %d\n", y.in.a, y.k[2], y.low, y.high); }
BEGIN { w.i = 0x41424344; printf("%c%c\n", w.c[0], w.c[3]); }
BEGIN { five[0] = 1; five[4] = 5; this->i = 4; printf("%d %d\n", five[0], five[this->i]); }
BEGIN { this->p = &five[0]; this->p[1] = 7; this->q = &y.in.a; *this->q = 6; printf("%d %d\n", five[1], y.in.a); }
BEGIN { this->implied = x; printf("%d\n", this->implied.a); }
BEGIN { trace(x); }
BEGIN { exit(0); }
