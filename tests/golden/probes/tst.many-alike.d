/*
 * Probes that share their code are told apart by everything that a clause may ask about them, in
 * predicates, keys, variables and records.
 */
/* trigger: alike.c */
pid$target:a.out:f??:entry
/probefunc == "f03" || arg0 == 1/
{
	last[probefunc] = probename;
	printf("%s:%s:%s %d\n", probemod, probefunc, probename, arg0);
}

pid$target:a.out:f??:entry
{
	@calls[probefunc] = count();
	@names[probemod, probename] = count();
	self->in = strjoin(probefunc, "!");
}

pid$target:a.out:f??:return
/arg1 == 22/
{
	@returned[self->in, probefunc, probename, arg1] = count();
}

END
{
	printf("%s %s\n", last["f03"], last["f01"]);
}
