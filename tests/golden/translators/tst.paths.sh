# cwd, root, d_path() and the paths of open files are those that the process has; execargs and uregs[] are its, too.
cd /proc/sys
$rdtrace -qn 'BEGIN { printf("%s %s\n", cwd, root); exit(0); }'
cd /usr/lib
$rdtrace -qn 'BEGIN { printf("%s %s\n", cwd, d_path(&curthread->fs->root)); exit(0); }'
$rdtrace -qn 'BEGIN /cwd == "/usr/lib"/ { @[cwd, strlen(cwd)] = count(); exit(0); }'
$rdtrace -qn 'BEGIN { printf("%s %s %s\n", fds[0].fi_pathname, fds[0].fi_dirname, fds[0].fi_name); exit(0); }' < /dev/null
$rdtrace -qn 'BEGIN { printf("%s\n", fds[999].fi_pathname); exit(0); }'
$rdtrace -x strsize=6 -qn 'BEGIN { printf("%s\n", cwd); exit(0); }'
$rdtrace -qn 'BEGIN { printf("%d %d\n", uregs[R_SP] != 0, uregs[R_PC] != 0); exit(0); }'
$rdtrace -qn 'BEGIN { printf("%s\n", strstr(execargs, "-q")); exit(0); }' a 'b  c' -xargref
$rdtrace -qn 'BEGIN { printf("%d\n", execargs == curpsinfo->pr_psargs); exit(0); }'
