/* aggsortkeypos chooses the key column to sort by. */
#pragma D option aggsortkey
#pragma D option aggsortkeypos=1
BEGIN { @["a", 3] = sum(1); @["b", 1] = sum(2); @["c", 2] = sum(3); exit(0); }
