#!/usr/bin/env -S rdtrace -qs
/*
 * Shows what each Python import costs, with those that it leads to indented above it.
 *
 *     ./imports.d -c "python3 imports.py"
 */

self int import_depth;

python$target:::import-find-load-start
{
	self->import_start[self->import_depth] = timestamp;
	self->import_depth++;
}

python$target:::import-find-load-done
/self->import_depth > 0/
{
	self->import_depth--;
	printf("%9d us  %*s%s%s\n", (timestamp - self->import_start[self->import_depth]) / 1000,
	    2 * self->import_depth, "", copyinstr(arg0), arg1 ? "" : " (not found)");
	self->import_start[self->import_depth] = 0;
}
