mod common;
use common::{Options, fold_all, s};
#[test]
fn one() {
    for src in [
        "basename(copyinstr(arg0))",
        "dirname(copyinstr(arg0))",
        "strchr(copyinstr(arg0), 'a')",
        "strrchr(copyinstr(arg0), 'a')",
        "strstr(copyinstr(arg0), \"ab\")",
        "index(copyinstr(arg0), \"ab\")",
        "rindex(copyinstr(arg0), \"ab\")",
        "strstr(copyinstr(arg0), copyinstr(arg1))",
        "lltostr(arg2)",
        "lltostr(arg2, 16)",
        "substr(copyinstr(arg0), 1, 2)",
    ] {
        eprintln!("{src}");
        for c in 1..4 {
            let args = [s("/x/ab"), s("ab"), common::n(5)];
            let rows = vec![(src, &args[..]); c];
            fold_all(Options::default(), &rows);
        }
    }
}
