//! `-x` options: from the environment (`DTRACE_OPT_NAME`), the command line, and the program's
//! `#pragma D option` lines, each overriding the ones before.
//!
//! Names, defaults, values and error texts are libdtrace's. Options that only tune machinery which
//! rdtrace does not have are accepted and do nothing, so that scripts that set them run; `-v` tells.

use actions::consume::{Letters, OutputFormat, OutputOptions};
use actions::frames::MOST_FRAMES;

use crate::attributes::Attributes;
use crate::cli::Cli;
pub(crate) use crate::option_values::BadOption;
use crate::option_values::{self, Accepts};

/// What the options say.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Options {
    /// Everything about the output.
    pub(crate) output: OutputOptions,
    /// `bufsize`: bytes of the principal buffer for each CPU.
    pub(crate) bufsize: u64,
    /// `aggsize`: bytes for each aggregation, `None` for no limit but memory.
    pub(crate) aggsize: Option<u64>,
    /// `scratchsize`: the most bytes that `alloca` and `copyin` give in one clause.
    pub(crate) scratchsize: u32,
    /// `printsize`: the most bytes that `print` shows of an object; none: all that a record holds.
    pub(crate) printsize: Option<u32>,
    /// `dynvarsize`: bytes for each associative array.
    pub(crate) dynvarsize: u64,
    /// `nspec`: how many speculations there may be at a time.
    pub(crate) nspec: u32,
    /// `amin`: the least attributes that clauses may have.
    pub(crate) amin: Option<Attributes>,
    /// `errtags`: error messages with their tag.
    pub(crate) errtags: bool,
    /// `defaultargs`: missing macro arguments are 0 or empty.
    pub(crate) defaultargs: bool,
    /// `argref`: macro arguments need not be used.
    pub(crate) argref: bool,
    /// `zdefs`, `-Z`: descriptions may match nothing.
    pub(crate) zdefs: bool,
    /// `destructive`, `-w`.
    pub(crate) destructive: bool,
    /// `statusrate`: nanoseconds between two looks at the drop counters.
    pub(crate) statusrate: u64,
    /// `cpp`, `-C`: run the C preprocessor over scripts.
    pub(crate) cpp: bool,
    /// `cpppath`: which preprocessor.
    pub(crate) cpppath: String,
    /// `stdc`, `-X`: how it keeps to the C standard.
    pub(crate) stdc: Conformance,
    /// Arguments for it, in order.
    pub(crate) cppargs: Vec<String>,
    /// `libdir`, `-L`: directories of D libraries, searched in order.
    pub(crate) libdirs: Vec<String>,
    /// `nolibs`: no D library is read, but those that come with rdtrace.
    pub(crate) nolibs: bool,
    /// `childstatus`: end with the target's own status.
    pub(crate) childstatus: bool,
    /// `pycheck`: a Python whose probes are synthesised is tested before its first use.
    pub(crate) pycheck: bool,
    /// `pyusdt`: a Python's own markers are used wherever there are any, those too that rdtrace
    /// has something better for.
    pub(crate) pyusdt: bool,
    /// `followfork`: what the target processes start is traced like them.
    pub(crate) followfork: bool,
    /// `stackframes`: how many frames `stack()` has unless it says.
    pub(crate) stackframes: u32,
    /// `ustackframes`: the same of `ustack()`.
    pub(crate) ustackframes: u32,
    /// `jstackframes`: the same of `jstack()`.
    pub(crate) jstackframes: u32,
    /// `maxframes`: the most frames that any stack has, at most what the kernel finds.
    pub(crate) maxframes: u32,
    /// `pystack`: whether `ustack()` shows Python's functions in the place of the interpreter's.
    pub(crate) pystack: bool,
    /// `demangle`: names of C++ and Rust as in their sources.
    pub(crate) demangle: bool,
    /// `cpu`: the only CPU that is traced.
    pub(crate) cpu: Option<u32>,
    /// The options that were set and change nothing here.
    pub(crate) without_effect: Vec<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            output: OutputOptions::default(),
            bufsize: 4 << 20,
            aggsize: None,
            scratchsize: 256,
            printsize: None,
            dynvarsize: 1 << 20,
            nspec: 1,
            amin: None,
            errtags: false,
            defaultargs: false,
            argref: false,
            zdefs: false,
            destructive: false,
            statusrate: 1_000_000_000,
            cpp: false,
            cpppath: "cpp".into(),
            stdc: Conformance::Strict,
            cppargs: Vec::new(),
            libdirs: Vec::new(),
            nolibs: false,
            childstatus: false,
            pycheck: true,
            pyusdt: false,
            followfork: false,
            stackframes: 20,
            ustackframes: 100,
            jstackframes: 512,
            maxframes: MOST_FRAMES,
            pystack: true,
            demangle: true,
            cpu: None,
            without_effect: Vec::new(),
        }
    }
}

/// How the preprocessor keeps to the C standard. libdtrace has four, of which three are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conformance {
    /// `a`, `c` and `t`: no names but those that the standard allows.
    Strict,
    /// `s`: as before the standard.
    Traditional,
}

/// The most that a string takes: one that is set to be larger has this size. (Scripts set far
/// more than any string has.)
const LARGEST_STRING: u32 = 65536;

/// The most speculations at a time: more have this number.
const MOST_SPECULATIONS: u32 = 1024;
/// The most that `scratchsize` may be: it is a part of each thread's state.
const LARGEST_SCRATCH: u32 = 8192;

/// Terminals that show no more than ASCII.
const PLAIN_TERMINALS: &[&str] = &["dumb", "sun", "sun-color"];

/// The most columns before a frame of a stack.
const MOST_INDENT: usize = 1000;

/// Options that libdtrace has and that change nothing here, with the values that it takes.
const NO_EFFECT: &[(&str, Accepts)] = &[
    ("aggrate", Accepts::Rate),
    ("bpflog", Accepts::Switch),
    ("bpflogsize", Accepts::Size),
    ("btfpath", Accepts::Text),
    ("bufpolicy", Accepts::OneOf(&["switch", "ring", "fill"])),
    ("bufresize", Accepts::OneOf(&["auto", "manual"])),
    ("cleanrate", Accepts::Rate),
    ("core", Accepts::Nothing),
    ("ctfpath", Accepts::Text),
    ("ctypes", Accepts::Text),
    ("debug", Accepts::Nothing),
    ("debugassert", Accepts::OneOf(&[])),
    ("disasm", Accepts::Anything),
    ("dtypes", Accepts::Text),
    ("empty", Accepts::Nothing),
    (
        "evaltime",
        Accepts::OneOf(&["exec", "preinit", "postinit", "main"]),
    ),
    ("grabanon", Accepts::Switch),
    ("iregs", Accepts::Registers),
    ("jstackframes", Accepts::Number),
    ("jstackstrsize", Accepts::Size),
    ("knodefs", Accepts::Nothing),
    ("late", Accepts::OneOf(&["dynamic", "static"])),
    ("lazyload", Accepts::Anything),
    ("linkmode", Accepts::OneOf(&["kernel", "dynamic", "static"])),
    ("linknommap", Accepts::Anything),
    ("linktype", Accepts::OneOf(&["elf", "dof"])),
    ("lockmem", Accepts::Anything),
    ("modpath", Accepts::Text),
    ("noresolve", Accepts::Switch),
    ("pgmax", Accepts::Anything),
    ("preallocate", Accepts::Size),
    ("procfspath", Accepts::Text),
    ("pspec", Accepts::Nothing),
    ("quietresize", Accepts::Switch),
    ("switchrate", Accepts::Rate),
    ("syslibdir", Accepts::Text),
    ("tree", Accepts::Number),
    ("tregs", Accepts::Positive),
    ("unodefs", Accepts::Nothing),
    ("useruid", Accepts::Anything),
    ("verbose", Accepts::Nothing),
];

/// Options that change something.
const WITH_EFFECT: &[&str] = &[
    "agghist",
    "aggpack",
    "aggpercpu",
    "aggsize",
    "aggsortkey",
    "aggsortkeypos",
    "aggsortpos",
    "aggsortrev",
    "aggzoom",
    "amin",
    "argref",
    "bufsize",
    "childstatus",
    "cpp",
    "cppargs",
    "cpphdrs",
    "cpppath",
    "cpu",
    "defaultargs",
    "define",
    "demangle",
    "destructive",
    "droptags",
    "dynvarsize",
    "encoding",
    "errtags",
    "flowindent",
    "followfork",
    "incdir",
    "libdir",
    "maxframes",
    "nolibs",
    "nspec",
    "oformat",
    "printsize",
    "pycheck",
    "pystack",
    "pyusdt",
    "quiet",
    "rawbytes",
    "scratchsize",
    "specsize",
    "stackframes",
    "stackindent",
    "statusrate",
    "stdc",
    "strsize",
    "undef",
    "ustackframes",
    "zdefs",
];

/// The names of all options.
pub(crate) fn names() -> Vec<&'static str> {
    let others = NO_EFFECT.iter().map(|(name, _)| *name);
    WITH_EFFECT.iter().copied().chain(others).collect()
}

/// Options that a program cannot set while it runs.
const BEFORE_TRACING: &[&str] = &[
    "aggsize",
    "bpflog",
    "bpflogsize",
    "bufpolicy",
    "bufresize",
    "bufsize",
    "cleanrate",
    "cpu",
    "destructive",
    "dynvarsize",
    "grabanon",
    "jstackframes",
    "jstackstrsize",
    "lockmem",
    "maxframes",
    "noresolve",
    "nspec",
    "oformat",
    "pystack",
    "scratchsize",
    "specsize",
    "stackframes",
    "statusrate",
    "strsize",
    "ustackframes",
];

impl Options {
    /// The options from the environment and the command line, the later ones winning.
    pub(crate) fn read(cli: &Cli) -> anyhow::Result<Self> {
        let mut options = Options::default();
        if std::env::var("TERM").is_ok_and(|term| PLAIN_TERMINALS.contains(&term.as_str())) {
            options.output.drawing.letters = Letters::Ascii;
        }
        for (name, value) in std::env::vars() {
            // As in libdtrace, what cannot be set is left: other versions of DTrace have other options.
            if let Some(name) = name.strip_prefix("DTRACE_OPT_")
                && !name.contains(|c: char| c.is_ascii_lowercase())
            {
                let _ = options.set(&name.to_ascii_lowercase(), Some(&value));
            }
        }
        for assignment in &cli.options {
            options.set_assignment(assignment).map_err(|error| {
                let mut letters = cli.letters.iter();
                let written = match letters.find(|(option, _)| option == assignment) {
                    Some((_, written)) => written.clone(),
                    None => format!("-x {}", assignment.split('=').next().unwrap_or_default()),
                };
                anyhow::anyhow!("failed to set {written}: {error}")
            })?;
        }
        Ok(options)
    }

    /// Sets an option. Without a value, a switch is turned on.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), BadOption> {
        let switch = || option_values::switch(value);
        let flag = || Accepts::Nothing.check(value).map(|()| true);
        // Those of our own: 0 and 1 as well.
        let own_switch = || match value {
            Some("0") => Ok(false),
            value => option_values::switch(value),
        };
        let text = || {
            value
                .filter(|text| !text.is_empty())
                .ok_or(BadOption::Value)
        };
        let size = || option_values::size(value);
        let number = || option_values::number(value);
        let frames = || u32::try_from(number()?.max(1)).or(Err(BadOption::Value));
        let output = &mut self.output;
        match name {
            "quiet" => output.quiet = switch()?,
            "flowindent" => output.flow_indent = switch()?,
            "aggsortkey" => output.sort.key = switch()?,
            "aggsortkeypos" => output.sort.key_position = number()?,
            "aggsortpos" => output.sort.position = number()?,
            "aggsortrev" => output.sort.reverse = switch()?,
            "aggpercpu" => output.agg_per_cpu = flag()?,
            "agghist" => output.drawing.bars = switch()?,
            "aggpack" => output.drawing.packed = switch()?,
            "aggzoom" => output.drawing.zoomed = switch()?,
            "encoding" => {
                output.drawing.letters = match value {
                    Some("ascii") => Letters::Ascii,
                    Some("utf8") => Letters::Blocks,
                    Some(_) | None => return Err(BadOption::Value),
                }
            }
            "rawbytes" => output.raw_bytes = switch()?,
            "droptags" => output.drop_tags = switch().unwrap_or(true),
            "stackframes" => self.stackframes = frames()?,
            "ustackframes" => self.ustackframes = frames()?,
            "jstackframes" => self.jstackframes = frames()?,
            "stackindent" => output.stack_indent = number()?.min(MOST_INDENT),
            "demangle" => self.demangle = own_switch()?,
            "maxframes" => {
                let frames = frames()?;
                if frames > MOST_FRAMES {
                    return Err(BadOption::Value);
                }
                self.maxframes = frames;
            }
            "nspec" => {
                let count = u32::try_from(number()?).unwrap_or(u32::MAX);
                if count == 0 {
                    return Err(BadOption::Value);
                }
                self.nspec = count.min(MOST_SPECULATIONS);
            }
            "specsize" => output.specsize = size()?,
            "oformat" => {
                let name = text()?;
                let found = OutputFormat::ALL.iter().find(|(known, _)| *known == name);
                output.format = found.ok_or(BadOption::Value)?.1;
            }
            "strsize" => {
                let size = size()?.min(LARGEST_STRING.into());
                output.strsize = u32::try_from(size)
                    .ok()
                    .filter(|size| *size >= 2)
                    .ok_or(BadOption::Value)?;
            }
            "scratchsize" => {
                let size = size()?.next_multiple_of(8).min(LARGEST_SCRATCH.into());
                self.scratchsize = u32::try_from(size).or(Err(BadOption::Value))?;
            }
            "printsize" => {
                // 0 is no limit.
                self.printsize = u32::try_from(size()?).ok().filter(|size| *size > 0);
            }
            "bufsize" => self.bufsize = size()?,
            "aggsize" => self.aggsize = Some(size()?),
            "dynvarsize" => self.dynvarsize = size()?,
            "amin" => {
                let minimum = Attributes::parse(text()?);
                self.amin = Some(minimum.ok_or(BadOption::Value)?);
            }
            "cpu" => self.cpu = Some(u32::try_from(number()?).or(Err(BadOption::Value))?),
            "errtags" => self.errtags = flag()?,
            "defaultargs" => self.defaultargs = flag()?,
            "argref" => self.argref = flag()?,
            "zdefs" => self.zdefs = flag()?,
            "destructive" => self.destructive = switch()?,
            "childstatus" => self.childstatus = own_switch()?,
            "pycheck" => self.pycheck = own_switch()?,
            "pystack" => self.pystack = own_switch()?,
            "pyusdt" => self.pyusdt = own_switch()?,
            "followfork" => self.followfork = own_switch()?,
            "statusrate" => self.statusrate = option_values::rate(value)?,
            "libdir" => self.libdirs.push(text()?.into()),
            "nolibs" => self.nolibs = flag()?,
            "cpp" => self.cpp = flag()?,
            "cpppath" => self.cpppath = text()?.into(),
            "cppargs" => self.cppargs.extend(
                value
                    .ok_or(BadOption::Value)?
                    .split_whitespace()
                    .map(str::to_owned),
            ),
            "cpphdrs" => {
                if flag()? {
                    self.cppargs.push("-H".into());
                }
            }
            "stdc" => {
                self.stdc = match value {
                    Some("a" | "c" | "t") => Conformance::Strict,
                    Some("s") => Conformance::Traditional,
                    Some(_) | None => return Err(BadOption::Value),
                }
            }
            "define" => self
                .cppargs
                .push(format!("-D{}", value.ok_or(BadOption::Value)?)),
            "undef" => self.cppargs.push(format!("-U{}", text()?)),
            "incdir" => self.cppargs.push(format!("-I{}", text()?)),
            "version" => return Err(BadOption::Unsupported),
            _ => {
                let known = NO_EFFECT.iter().find(|(known, _)| *known == name);
                let (name, accepts) = known.ok_or(BadOption::Name)?;
                accepts.check(value)?;
                if !self.without_effect.contains(name) {
                    self.without_effect.push(name);
                }
            }
        }
        Ok(())
    }

    /// Sets an option as `setopt()` does while tracing is active: only what does not need to be known
    /// before.
    pub(crate) fn set_while_tracing(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), BadOption> {
        if BEFORE_TRACING.contains(&name) {
            return Err(BadOption::Active);
        }
        self.set(name, value.or(Some("1")))
    }

    /// Sets an option from `NAME` or `NAME=VALUE`.
    pub(crate) fn set_assignment(&mut self, assignment: &str) -> Result<(), BadOption> {
        match assignment.split_once('=') {
            Some((name, value)) => self.set(name, Some(value)),
            None => self.set(assignment, None),
        }
    }

    /// Bytes of the one ring buffer, which all CPUs share: a power of two and at least a page.
    pub(crate) fn ring_bytes(&self, cpus: usize) -> u32 {
        const LARGEST: u64 = 1 << 30;
        let cpus = u64::try_from(cpus.clamp(1, 16)).unwrap_or(1);
        let bytes = self.bufsize.saturating_mul(cpus).clamp(4096, LARGEST);
        u32::try_from(bytes.next_power_of_two()).unwrap_or(1 << 30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_in_libdtraces_words() {
        let mut options = Options::default();
        assert_eq!(options.set_assignment("nosuch=1"), Err(BadOption::Name));
        assert_eq!(
            options.set_assignment("bufsize=lots"),
            Err(BadOption::Value)
        );
        for (bad, error) in [
            ("cpu=all", BadOption::Value),
            ("bpflog=f", BadOption::Value),
            ("empty=1", BadOption::Value),
            ("temporal", BadOption::Name),
            ("strsize=1", BadOption::Value),
            ("oformat=yaml", BadOption::Value),
        ] {
            assert_eq!(options.set_assignment(bad), Err(error), "{bad}");
        }
        for good in [
            "nspec=4",
            "cpu=1",
            "empty",
            "unodefs",
            "knodefs",
            "dtypes=/x",
            "quietresize",
        ] {
            assert_eq!(options.set_assignment(good), Ok(()), "{good}");
        }
        options.set("strsize", Some("128k")).unwrap();
        assert_eq!(options.output.strsize, LARGEST_STRING);
        options.set_assignment("quiet").unwrap();
        assert!(options.output.quiet);
    }

    #[test]
    fn each_name_is_an_option() {
        for name in names() {
            let wrong = Options::default().set(name, Some("\n"));
            assert_ne!(wrong, Err(BadOption::Name), "{name}");
        }
        assert!(names().contains(&"switchrate"));
    }

    #[test]
    fn the_ring_is_a_power_of_two() {
        let mut options = Options::default();
        options.set("bufsize", Some("3m")).unwrap();
        assert_eq!(options.ring_bytes(2), 8 << 20);
        options.set("bufsize", Some("1")).unwrap();
        assert_eq!(options.ring_bytes(1), 4096);
    }
}
