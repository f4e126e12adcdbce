//! `-h`: a C header with a macro for each probe that the program's `provider` declarations name.
//!
//! The macros are those of `sys/sdt.h`, so a program that uses them has ordinary USDT probes. Names
//! are as in the header that `dtrace -h` makes: `A_B_C(arg0)` for probe `b__c` of provider `a`, and
//! `A_B_C_ENABLED()` to find out whether somebody traces it, before its arguments are computed.
//!
//! What that asks is the probe's semaphore, a counter that tracers raise. The header defines it
//! itself, weakly, so that every file of a program may include it and no object with
//! the counters (`dtrace -G`) has to be linked.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use dlang::diag::Diagnostic;
use dlang::program::{DeclaredProbe, Program};
use dlang::tags::Tag;

use crate::cli::{Cli, Input};
use crate::message::reason;

/// How many arguments `sys/sdt.h` has macros for.
const ARGUMENTS: usize = 12;

/// The file that `-h` writes: `-o`'s, else the script's name with `.h` for `.d`, in the working
/// directory.
///
/// # Errors
///
/// Which one is meant cannot be known: the text of a wrong command line, as `dtrace`'s.
pub(crate) fn file_name(cli: &Cli) -> Result<String, &'static str> {
    if let Some(output) = &cli.output {
        return Ok(output.clone());
    }
    match &cli.inputs[..] {
        [] => Err("-h requires one or more scripts or enabling options"),
        [Input::Script(path)] => Path::new(path)
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".d"))
            .map(|stem| format!("{stem}.h"))
            .ok_or("-h requires an output file if no scripts are specified"),
        [_] => Err("-h requires an output file if no scripts are specified"),
        [_, _, ..] => Err("-h requires an output file if multiple scripts are specified"),
    }
}

/// What `sys/sdt.h` cannot do.
pub(crate) fn first_error(program: &Program) -> Option<Diagnostic> {
    let mut probes = program.providers.iter().flat_map(|p| &p.probes);
    let wide = probes.find(|probe| probe.input.len() > ARGUMENTS)?;
    let message = format!(
        "probe has {} arguments: sys/sdt.h has macros for up to {ARGUMENTS}",
        wide.input.len()
    );
    Some(Diagnostic::new(Tag::Unsupported, wide.span, &message))
}

/// Writes the header.
///
/// # Errors
///
/// The file cannot be made or written.
pub(crate) fn write(program: &Program, path: &str) -> Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(text(program, path).as_bytes()))
        .map_err(|error| anyhow::anyhow!("failed to open header file '{path}': {}", reason(&error)))
}

fn text(program: &Program, path: &str) -> String {
    let guard = guard(path);
    let probes = |each: &dyn Fn(&str, &DeclaredProbe) -> String| -> String {
        let of_provider = program
            .providers
            .iter()
            .flat_map(|provider| provider.probes.iter().map(|p| each(&provider.name, p)));
        of_provider.collect()
    };
    let semaphores = probes(&semaphore);
    let used = probes(&macros);
    let unused = probes(&empty_macros);
    format!(
        "/* Made by rdtrace -h. */\n\n\
         #ifndef {guard}\n\
         #define {guard}\n\n\
         /* Compile with -D_DTRACE_USE_USDT=0 to have no probes. */\n\
         #ifndef _DTRACE_USE_USDT\n\
         #define _DTRACE_USE_USDT 1\n\
         #endif\n\n\
         #if _DTRACE_USE_USDT\n\n\
         #define _SDT_HAS_SEMAPHORES 1\n\
         #include <sys/sdt.h>\n\n\
         #ifdef __cplusplus\n\
         extern \"C\" {{\n\
         #endif\n\n\
         {semaphores}\n\
         #ifdef __cplusplus\n\
         }}\n\
         #endif\n\n\
         {used}\
         #else /* _DTRACE_USE_USDT */\n\n\
         {unused}\n\
         #endif /* _DTRACE_USE_USDT */\n\n\
         #endif /* {guard} */\n"
    )
}

/// The counter of a probe. Each file that includes the header defines it, and the linker takes one.
fn semaphore(provider: &str, probe: &DeclaredProbe) -> String {
    let name = &probe.name;
    format!(
        "__extension__ unsigned short {provider}_{name}_semaphore\n\
         \t__attribute__((weak, visibility(\"hidden\"), unused, section(\".probes\")));\n"
    )
}

fn macros(provider: &str, probe: &DeclaredProbe) -> String {
    let shown = macro_name(provider, &probe.name);
    let name = &probe.name;
    let arguments = arguments(probe);
    let mut types = String::new();
    for (n, ty) in probe.input.iter().enumerate() {
        let _ = write!(types, "{}{ty}", if n == 0 { ": " } else { ", " });
    }
    let (suffix, all) = match probe.input.len() {
        0 => (String::new(), String::new()),
        count => (count.to_string(), format!(", {arguments}")),
    };
    format!(
        "/* {provider}:::{}{types} */\n\
         #define {shown}({arguments}) \\\n\
         \tDTRACE_PROBE{suffix}({provider}, {name}{all})\n\
         #define {shown}_ENABLED() \\\n\
         \t__builtin_expect(*(volatile unsigned short *)&{provider}_{name}_semaphore, 0)\n\n",
        name.replace("__", "-")
    )
}

/// Macros that compute nothing; their arguments still count as used.
fn empty_macros(provider: &str, probe: &DeclaredProbe) -> String {
    let shown = macro_name(provider, &probe.name);
    let mut uses = String::new();
    for n in 0..probe.input.len() {
        let _ = write!(uses, "(void)sizeof(arg{n}); ");
    }
    format!(
        "#define {shown}({}) do {{ {uses}}} while (0)\n#define {shown}_ENABLED() (0)\n",
        arguments(probe)
    )
}

fn arguments(probe: &DeclaredProbe) -> String {
    let names: Vec<_> = (0..probe.input.len()).map(|n| format!("arg{n}")).collect();
    names.join(", ")
}

/// As in libdtrace's headers: a single `_` for each `-`, and capital letters.
fn macro_name(provider: &str, probe: &str) -> String {
    format!("{provider}_{}", probe.replace("__", "_")).to_ascii_uppercase()
}

/// The macro that keeps the header from being read twice.
fn guard(path: &str) -> String {
    let name = Path::new(path)
        .file_name()
        .map_or(path.into(), |name| name.to_string_lossy());
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("_{}", name.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_dtrace() {
        assert_eq!(
            macro_name("python", "function__entry"),
            "PYTHON_FUNCTION_ENTRY"
        );
        assert_eq!(macro_name("my_prov", "t__x__"), "MY_PROV_T_X_");
        assert_eq!(guard("out/my probes-2.h"), "_MY_PROBES_2_H");
    }

    #[test]
    fn the_file_is_the_scripts_own_unless_one_is_named() {
        let cli = |inputs: &[&str], output: Option<&str>| Cli {
            inputs: inputs.iter().map(|s| Input::Script((*s).into())).collect(),
            output: output.map(Into::into),
            ..Cli::default()
        };
        assert_eq!(file_name(&cli(&["a/b.d"], None)), Ok("b.h".into()));
        assert_eq!(file_name(&cli(&["a/b.d"], Some("x"))), Ok("x".into()));
        assert!(file_name(&cli(&["a/b.txt"], None)).is_err());
        assert!(file_name(&cli(&["a.d", "b.d"], None)).is_err());
        assert!(file_name(&cli(&[], None)).is_err());
    }
}
