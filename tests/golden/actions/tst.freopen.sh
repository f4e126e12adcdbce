# freopen() appends to a file, "" leads back, ftruncate() empties the file; what cannot be opened is told and changes nothing.
echo there > 5.txt
cat > script.d <<'D'
BEGIN { printf("first\n"); freopen("%d.txt", 5); printf("second\n"); }
BEGIN { system("echo third"); freopen(""); printf("fourth\n"); }
BEGIN { freopen("6.txt"); printf("gone\n"); ftruncate(); printf("kept\n"); freopen(""); }
BEGIN { freopen("no/such/file"); printf("fifth\n"); exit(0); }
D
$rdtrace -qws script.d
cat 5.txt
cat 6.txt
