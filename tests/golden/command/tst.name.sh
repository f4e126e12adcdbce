# Messages carry the name that the command was started as.
ln -s $rdtrace dtrace
./dtrace -n 'nosuch:::probe' 2>&1; echo "status $?"
