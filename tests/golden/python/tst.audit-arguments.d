/* needs: frames (Linux 5.17) */
/* The arguments of an audit event are Python objects: shown as by repr, and of use in predicates and keys. */
/* trigger: values.py */
python$target:::audit
/copyinstr(arg0) == "golden.value" && pyint(pyaudit(1)) == 7/
{
	printf("%s\n", pyaudit(0));
	@kinds[pytype(pyaudit(0)), pystr(pyaudit(0)), pylen(pyaudit(0)), pyfloat(pyaudit(0))] = count();
	this->object = pyaudit(0);
	@none[pyaudit(2) == NULL] = count();
}

END
{
	printa("%s '%s' %d %d %@d\n", @kinds);
	printa("%d %@d\n", @none);
}
