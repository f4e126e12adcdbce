/* Addresses of networks and links, and the state of locks, from their bytes. */
BEGIN
{
	this->p = (uint32_t *)alloca(20);
	this->q = (uint8_t *)this->p;
	*this->p = 0x0403ff0a;
	printf("%s %s\n", inet_ntoa(this->p), inet_ntop(2, this->p));
	@[inet_ntoa(this->p)] = count();
	s = inet_ntoa(this->p);
	printf("%s %d\n", strjoin(s, "/8"), strlen(s));
	this->q[0] = 0x20; this->q[1] = 1; this->q[2] = 0xd; this->q[3] = 0xb8;
	this->q[4] = 0; this->q[5] = 0; this->q[6] = 0; this->q[7] = 0;
	this->q[8] = 0; this->q[9] = 0; this->q[10] = 0; this->q[11] = 0;
	this->q[12] = 0; this->q[13] = 0; this->q[14] = 0; this->q[15] = 1;
	printf("%s %s\n", inet_ntoa6((void *)this->q), inet_ntop(10, this->q));
	printf("%s\n", link_ntop(1, this->q));
	printf("%s\n", link_ntop(32, this->q));
}

BEGIN
{
	this->m = (uint64_t *)alloca(8);
	*this->m = 0x1003;
	printf("%d %d %d %d\n", mutex_owned((struct mutex *)this->m), (int)(int64_t)mutex_owner((struct mutex *)this->m),
	    mutex_type_adaptive((struct mutex *)this->m), mutex_type_spin((struct mutex *)this->m));
	*this->m = 3;
	printf("%d\n", mutex_owned((struct mutex *)this->m));
	this->r = (uint32_t *)this->m;
	*this->r = 0x400;
	printf("%d %d %d\n", rw_read_held((void *)this->r), rw_write_held((void *)this->r), rw_iswriter((void *)this->r));
	*this->r = 0xff;
	printf("%d %d %d\n", rw_read_held((void *)this->r), rw_write_held((void *)this->r), rw_iswriter((void *)this->r));
	*this->r = 0x500;
	printf("%d %d %d\n", rw_read_held((void *)this->r), rw_write_held((void *)this->r), rw_iswriter((void *)this->r));
	exit(0);
}
