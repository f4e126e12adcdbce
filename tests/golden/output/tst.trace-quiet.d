/* Under -q, trace() prints values without padding. */
BEGIN
{
	trace(1); trace("hi"); trace((char)-3); trace((short)-300); trace(-5000000000); trace((unsigned int)3000000000);
	exit(0);
}
