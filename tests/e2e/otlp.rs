//! `--format otlp`, received by a program of Python's that decodes what came with OpenTelemetry's own
//! definitions, over HTTP and by gRPC's own server.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{can_trace_python, rdtrace, run, wait_until};
use crate::outputs::{has_reader, readers};

/// A collector, of the protocol that its first argument names: prints its port, receives until its input
/// ends, then prints what it has received. It turns the first request away, unless its second argument is
/// `patient`.
const COLLECTOR: &str = r#"
import gzip, http.server, importlib, sys, threading
from concurrent import futures
SIGNALS = {"traces": "trace", "metrics": "metrics", "logs": "logs"}
def module(signal, suffix):
    name = SIGNALS[signal]
    return importlib.import_module(f"opentelemetry.proto.collector.{name}.v1.{name}_service_pb2{suffix}")
def kind(signal, what):
    name = SIGNALS[signal].capitalize()
    return getattr(module(signal, ""), f"Export{name}Service{what}")
received = {signal: [] for signal in SIGNALS}
turned_away = [503] if sys.argv[2] == "patient" else []
headers = set()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        signal = self.path.removeprefix("/v1/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/x-protobuf"
        headers.add(self.headers["X-Tenant"])
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        status = 200 if turned_away else 503
        turned_away.append(status)
        if status == 200:
            received[signal].append(kind(signal, "Request").FromString(body))
        answer = kind(signal, "Response")().SerializeToString()
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *args): pass

def grpc_server():
    import grpc
    server = grpc.server(futures.ThreadPoolExecutor(2))
    for signal in SIGNALS:
        name = SIGNALS[signal].capitalize()
        generated = module(signal, "_grpc")
        class Servicer(getattr(generated, f"{name}ServiceServicer")):
            def Export(self, request, context, signal=signal):
                headers.update(value for key, value in context.invocation_metadata() if key == "x-tenant")
                if not turned_away:
                    turned_away.append(503)
                    context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
                received[signal].append(request)
                return kind(signal, "Response")()
        getattr(generated, f"add_{name}ServiceServicer_to_server")(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port

if sys.argv[1] == "grpc":
    # A server that nobody holds ends.
    server, port = grpc_server()
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port
print(port, flush=True)
sys.stdin.read()

def value(any):
    kind = any.WhichOneof("value")
    return tuple(map(value, any.array_value.values)) if kind == "array_value" else getattr(any, kind)
def attributes(of):
    return {attribute.key: value(attribute.value) for attribute in of.attributes}
assert headers == {"a b"}, headers
spans = {}
for request in received["traces"]:
    for resource in request.resource_spans:
        own = attributes(resource.resource)
        assert own["host.name"] and own["service.name"] == "shop", own
        assert own["process.pid"] and own["process.executable.name"].startswith("python3"), own
        for scope in resource.scope_spans:
            assert scope.scope.name == "rdtrace"
            for span in scope.spans:
                assert span.span_id not in spans and len(span.trace_id) == 16 and len(span.span_id) == 8
                assert span.start_time_unix_nano <= span.end_time_unix_nano
                spans[span.span_id] = span
leaves = [span for span in spans.values() if span.name == "leaf"]
for leaf in leaves:
    parent = spans[leaf.parent_span_id]
    assert parent.trace_id == leaf.trace_id and parent.name in ("work", "fails"), parent
    assert attributes(leaf)["code.line.number"] == 2
    assert parent.start_time_unix_nano <= leaf.start_time_unix_nano
    assert leaf.end_time_unix_nano <= parent.end_time_unix_nano
works = [span for span in spans.values() if span.name == "work"]
print("spans", len(leaves), len(works))

points = {}
for request in received["metrics"]:
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data = getattr(metric, metric.WhichOneof("data"))
                for point in data.data_points:
                    assert point.start_time_unix_nano <= point.time_unix_nano
                    points[metric.name, attributes(point).get("key1")] = data, point
calls, point = points["rdtrace.calls", "leaf"]
assert calls.is_monotonic and calls.aggregation_temporality == 2
lines, histogram = points["rdtrace.lines", None]
counts = histogram.bucket_counts
assert sum(counts) == histogram.count and len(counts) == len(histogram.explicit_bounds) + 1
at = list(histogram.explicit_bounds).index(3)
print("metrics", point.as_int, counts[at], points["rdtrace.least", None][1].as_int < -6,
      points["rdtrace.faults", None][1].as_int)

stacks = [(key, point.as_int) for (name, key), (_, point) in points.items() if name == "rdtrace.stacks"]
for stack, _ in stacks:
    of_python = [at for at, frame in enumerate(stack) if ".py:" in frame]
    names = [stack[at].rpartition(" ")[2] for at in of_python]
    assert names == ["<lambda>", "<module>"] and of_python[1] > of_python[0] + 1, stack
print("stacks", sum(count for _, count in stacks))

logs = [(record, attributes(resource.resource)) for request in received["logs"] for resource in request.resource_logs
        for scope in resource.scope_logs for record in scope.log_records]
began = [record for record, _ in logs if record.event_name == "dtrace:::BEGIN"]
print("logs", [value(record.body) for record in began], began[0].severity_number)
inside = [record for record, _ in logs if record.span_id]
assert all(spans[record.span_id].name == "leaf" for record in inside)
print("inside", len(inside), {value(record.body) for record in inside})
faults = [value(record.body) for record, _ in logs if record.severity_number == 17]
print("faults", len(faults))
"#;

const PROGRAM: &str = "
def leaf():
    return sum(range(1000))
def fails():
    leaf()
    raise ValueError
def work(n):
    if n:
        return work(n - 1)
    try:
        fails()
    except ValueError:
        leaf()
for _ in range(20):
    work(3)
import os, time
time.sleep(1)
sorted([1, 2], key=lambda _: os.getppid())
";

const CLAUSES: &str = r#"
BEGIN { printf("began %d\n", 7); }
python$target:::function-entry,python$target:::function-return {}
python$target:::function-entry /copyinstr(arg1) == "leaf"/ { trace(arg2); @lines = quantize(arg2); }
python$target:::function-entry { @calls[copyinstr(arg1)] = count(); @least = min(-arg2); }
python$target:::function-entry /copyinstr(arg1) == "fails"/ { trace(*(char *)8); }
pid$target:libc.so.6:getppid:entry { @stacks[ustack()] = count(); }
"#;

struct Collector {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Collector {
    fn start(protocol: &str, manner: &str) -> Self {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", COLLECTOR, protocol, manner]);
        command.env("PYTHONPATH", readers().join("python"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        output.read_line(&mut port).unwrap();
        Self {
            child,
            input,
            output,
            port: port.trim().parse().expect("the collector says its port"),
        }
    }

    /// What it has received.
    fn received(self) -> String {
        let Self {
            mut child,
            mut input,
            mut output,
            ..
        } = self;
        input.flush().unwrap();
        drop(input);
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success(), "{text}");
        text
    }
}

/// Whether the collector can be run, and a Python traced.
fn can_receive() -> bool {
    can_trace_python() && has_reader("python/opentelemetry") && has_reader("python/grpc")
}

/// What it should have received.
const RECEIVED: &str =
    "spans 40 80\nmetrics 40 40 True 20\nstacks 2\nlogs ['began 7'] 9\ninside 40 {2}\nfaults 20\n";

/// Traces the program, and sends what came of it; gives what was told of the way there.
fn send(endpoint: &str, protocol: &str, compression: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program.py");
    fs::write(&program, PROGRAM).unwrap();
    let mut command = rdtrace([
        "-q", "--format", "otlp", "-n", CLAUSES, "-o", endpoint, "-c",
    ]);
    command.arg(format!("/usr/bin/python3 -S {}", program.display()));
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
    command.env("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "X-Tenant=a%20b");
    command.env("OTEL_SERVICE_NAME", "shop");
    command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "50000");
    let outcome = run(command);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
    let told = outcome.stderr.lines().map(String::from);
    told.filter(|line| line.contains(endpoint)).collect()
}

fn is_turned_away_and_comes_again(protocol: &str, compression: &str) {
    if !can_receive() {
        return;
    }
    let collector = Collector::start(protocol, "hasty");
    let endpoint = format!("http://127.0.0.1:{}", collector.port);
    let told = send(&endpoint, protocol, compression);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("it is tried again") && told[1].contains("again"),
        "{told:?}"
    );
    assert_eq!(collector.received(), RECEIVED);
}

#[test]
fn a_collector_gets_all_by_http() {
    is_turned_away_and_comes_again("http/protobuf", "none");
}

#[test]
fn a_collector_gets_all_by_grpc_compressed() {
    is_turned_away_and_comes_again("grpc", "gzip");
}

/// A collector of other people's, which hands on what it receives.
struct Rotel {
    child: Child,
    grpc: String,
    http: String,
}

impl Rotel {
    /// One that sends to a port.
    fn start(to: u16) -> Self {
        // It takes no port 0.
        let free = || {
            TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .to_string()
        };
        let (grpc, http) = (free(), free());
        let mut command = Command::new(readers().join("python/rotel/rotel-agent"));
        command.args([
            "start",
            "--otlp-grpc-endpoint",
            &grpc,
            "--otlp-http-endpoint",
            &http,
        ]);
        command.args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"]);
        command.args(["--otlp-exporter-custom-headers", "X-Tenant=a b"]);
        command
            .arg("--otlp-exporter-endpoint")
            .arg(format!("http://127.0.0.1:{to}"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        wait_until("rotel listens", || {
            [&grpc, &http]
                .iter()
                .all(|at| TcpStream::connect(at).is_ok())
        });
        Self { child, grpc, http }
    }

    /// Ends it, when it has sent what it has.
    fn finish(mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn a_collector_of_other_people_takes_all() {
    if !can_receive() || !has_reader("python/rotel/rotel-agent") {
        return;
    }
    for protocol in ["http/protobuf", "grpc"] {
        let collector = Collector::start("http/protobuf", "patient");
        let rotel = Rotel::start(collector.port);
        let address = if protocol == "grpc" {
            &rotel.grpc
        } else {
            &rotel.http
        };
        let told = send(&format!("http://{address}"), protocol, "gzip");
        assert_eq!(told, [""; 0]);
        rotel.finish();
        assert_eq!(collector.received(), RECEIVED, "{protocol}");
    }
}

#[test]
fn a_collector_that_is_not_there_is_told_and_holds_nothing_up() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    if !can_trace_python() {
        return;
    }
    let endpoint = format!("http://{address}");
    let clauses = "BEGIN { trace(1); exit(3); }";
    let mut command = rdtrace(["-q", "--format", "otlp", "-o", &endpoint]);
    command.args(["-n", clauses]);
    command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "1000");
    let outcome = run(command);
    assert_eq!(outcome.status, 3);
    let told =
        format!("rdtrace: {endpoint} cannot be sent to: Connection refused; it is tried again\n");
    assert!(outcome.stderr.starts_with(&told), "{}", outcome.stderr);
    let lost = format!("rdtrace: lost on the way to {endpoint}: 3 metrics, 1 log record\n");
    assert!(outcome.stderr.ends_with(&lost), "{}", outcome.stderr);
    let outcome = run(rdtrace(["--format", "otlp", "-o", "file", "-n", clauses]));
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.stderr.contains("file: otlp is sent to a collector"),
        "{}",
        outcome.stderr
    );
}
