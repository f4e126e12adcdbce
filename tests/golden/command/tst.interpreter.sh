# A script with #!/usr/bin/env -S rdtrace -qs runs as a program.
PATH=$(dirname $rdtrace):$PATH
printf '#!/usr/bin/env -S rdtrace -qs\nBEGIN { printf("%%d\\n", $1); exit(5); }\n' > it.d
chmod +x it.d
./it.d 42; echo "status $?"
