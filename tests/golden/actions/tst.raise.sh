# raise() and stop() send the process that fires a signal.
cat > script.d <<'D'
pid$target:libc:atol:entry /copyinstr(arg0) == "RAISE"/ { raise(10); calls++; }
END { printf("calls: %d\n", calls); }
D
cat > script.py <<'P'
import ctypes, signal
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
libc = ctypes.CDLL(None)
libc.atol(b"RAISE")
libc.atol(b"X")
print("signals:", len(got), flush=True)
P
$rdtrace -qws script.d -c "$python script.py"
