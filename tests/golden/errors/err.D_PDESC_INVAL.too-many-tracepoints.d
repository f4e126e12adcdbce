/* Each tracepoint is a program of its own. */
rawtp:::
{
}
