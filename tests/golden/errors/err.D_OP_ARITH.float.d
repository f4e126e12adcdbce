/* Nothing is computed with floating-point numbers. */
float f;

BEGIN
{
	trace(f * 2);
}
