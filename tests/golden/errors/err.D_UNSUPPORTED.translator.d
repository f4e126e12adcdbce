/* A translator is known by name and refused, not called a syntax error. */
struct shown { int pid; };
translator struct shown < int n >
{
        pid = n;
};

BEGIN { exit(0); }
