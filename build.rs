//! Puts the scripts of `examples/` into the binary, for `rdtrace run`: a table of names and texts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=examples");
    let var = |name| env::var_os(name).ok_or(io::ErrorKind::NotFound);
    let examples = Path::new(&var("CARGO_MANIFEST_DIR")?).join("examples");
    let files = fs::read_dir(examples)?.map(|file| Ok(file?.path()));
    let mut scripts = files.collect::<io::Result<Vec<PathBuf>>>()?;
    scripts.retain(|path| path.extension().is_some_and(|kind| kind == "d"));
    scripts.sort();
    let mut table = String::from("&[\n");
    for path in scripts {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let path = path.to_string_lossy();
        let written = writeln!(table, "    ({name:?}, include_str!({path:?})),");
        written.map_err(io::Error::other)?;
    }
    table.push(']');
    fs::write(Path::new(&var("OUT_DIR")?).join("examples.rs"), table)
}
