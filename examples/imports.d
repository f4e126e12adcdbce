#!/usr/bin/env -S rdtrace -qs
/*
 * Shows what each Python import costs, with those that it leads to indented above it.
 *
 *     ./imports.d -c "python3 imports.py"
 */

self int depth;

python$target:::import-find-load-start
{
	self->start[self->depth] = timestamp;
	self->depth++;
}

python$target:::import-find-load-done
/self->depth > 0/
{
	self->depth--;
	printf("%9d us  %*s%s%s\n", (timestamp - self->start[self->depth]) / 1000,
	    2 * self->depth, "", copyinstr(arg0), arg1 ? "" : " (not found)");
	self->start[self->depth] = 0;
}
