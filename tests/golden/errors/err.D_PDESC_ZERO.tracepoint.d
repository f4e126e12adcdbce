/* A tracepoint is in one module. */
rawtp:irq::sched_switch
{
}
