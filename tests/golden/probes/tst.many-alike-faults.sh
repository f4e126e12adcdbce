# A fault names the probe that it happened on, of those that share code, to people and to ERROR.
cc -O1 -o alike "$triggers/alike.c"
$rdtrace -qn '
pid$target:a.out:f??:entry
/arg0 == 2 || arg0 == 10/
{
	self->in = id;
	this->wrong = *(int *)0;
}

ERROR
{
	@[arg1 == self->in ? "as it should" : "another", arg4] = count();
}' -c ./alike 2>&1 | sed 's/ID [0-9]* (pid[0-9]*/ID N (pidN/; s/pc [0-9]*/pc N/'
