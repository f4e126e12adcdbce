/* aggsortkey sorts by key. */
#pragma D option aggsortkey
BEGIN { @[3] = sum(1); @[1] = sum(2); @[2] = sum(3); @[-1] = sum(9); exit(0); }
