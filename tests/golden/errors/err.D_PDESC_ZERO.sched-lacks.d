/* What the kernel has nothing for is refused. */
sched:::change-pri { }
