/* A floating-point number is not assigned, not even to a variable of its own type. */
double a;
double b;

BEGIN
{
	a = b;
}
