# By default trace() pads each value by its type; the CPU column is masked.
$rdtrace -n 'BEGIN { trace(1); trace("hi"); trace((char)-3); trace((short)-300); trace(-5000000000);
    trace((unsigned char)200); trace((unsigned short)40000); trace((unsigned int)3000000000); trace(12345678901ull); exit(0); }' 2>&1 |
    sed 's/^ *[0-9]* /  N /'
