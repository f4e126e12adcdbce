/* alloca, bcopy, copyin and copyinto give and fill memory of any size; what does not fit is a fault. */
ERROR { printf("fault %d\n", arg4); }
BEGIN { this->a = (char *)alloca(16); bcopy("hello", this->a, 6); this->a[0] = 'J'; printf("%s\n", stringof(this->a)); }
BEGIN { n = 12; this->p = (int *)alloca(n); this->p[0] = 1; this->p[2] = 7; printf("%d %d\n", this->p[0], this->p[2]); }
BEGIN { this->q = (char *)alloca(8); bcopy("abcdef", this->q, 7); this->r = (char *)alloca(8); bcopy(this->q, this->r, 7); this->r[1] = 'Q'; printf("%s %s\n", stringof(this->q), (string)(this->r + 1)); }
BEGIN { n = 3; this->q = (char *)alloca(n); this->r = (char *)alloca(n); printf("%d\n", this->r - this->q); }
BEGIN { n = 0; this->q = (char *)alloca(8); this->q[0] = 0; bcopy("abc", this->q, n); printf("[%s]\n", stringof(this->q)); }
BEGIN { n = 257; this->v = alloca(n); printf("not reached\n"); }
BEGIN { n = 200; this->v = alloca(n); this->v = alloca(n); printf("not reached\n"); }
BEGIN { n = -3; this->q = (char *)alloca(8); bcopy("abc", this->q, n); printf("not reached\n"); }
BEGIN { this->q = (char *)alloca(8); bcopy("abcdefghijk", this->q, 12); printf("not reached\n"); }
BEGIN { this->q = (char *)copyin(0, 4); printf("not reached\n"); }
BEGIN { n = 400; this->q = (char *)copyin(0, n); printf("not reached\n"); }
BEGIN { this->q = (char *)alloca(8); copyinto(0, 4, this->q); printf("not reached\n"); }
BEGIN { exit(0); }
