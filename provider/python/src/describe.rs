//! A build in words, for `-lv` and `--check-python`: by which method a probe is made, and where.

use std::fmt;

use super::build::{Build, Method};
use super::cfunctions::{CallSite, ReturnSite};
use super::code::Emulated;
use super::entries::{EntrySite, FlagTest};
use super::event::PythonEvent;
use super::import::ImportSite;
use super::register::Register;
use super::site::{Condition, Event, Execution, InstructionPointer, Location, Site};
use super::sys_audit::NoHookSite;

impl Build {
    /// How the probe of `event` is made: the method, then each site, then remarks.
    #[must_use]
    pub fn describe(&self, event: PythonEvent) -> Vec<String> {
        let mut lines = vec![format!(
            "CPython {}{}, {}",
            self.version,
            if self.free_threaded {
                ", free-threaded"
            } else {
                ""
            },
            self.method_in_words(event)
        )];
        match event {
            PythonEvent::GcStart | PythonEvent::GcDone => {
                for collector in self.collectors.iter().flatten() {
                    lines.push(format!(
                        "Location: {:#018x}, gc-start, {}, generation in {}",
                        collector.start_address, collector.execution, collector.generation
                    ));
                    let function = format!(
                        "File offset: {:#018x}, function that returns at gc-done",
                        collector.function_offset
                    );
                    if !lines.contains(&function) {
                        lines.push(function);
                    }
                }
            }
            PythonEvent::Audit => {
                for site in self.audits.iter().flat_map(|audits| &audits.sites) {
                    lines.push(format!(
                        "Location: {:#018x}, audit, {}, event in {}",
                        site.address, site.execution, site.event
                    ));
                }
                let audits = self.audits.iter();
                let without_hook = audits.flat_map(|audits| audits.without_hook.iter().flatten());
                lines.extend(without_hook.map(NoHookSite::to_string));
            }
            PythonEvent::ImportStart | PythonEvent::ImportDone => {
                for site in self.imports.iter().flat_map(|imports| &imports.sites) {
                    lines.push(format!(
                        "Location: {:#018x}, import-find-load-start, {}, name in {}",
                        site.start_address,
                        site.start_execution,
                        ImportSite::NAME
                    ));
                    lines.push(format!(
                        "Location: {:#018x}, import-find-load-done, {}, module in {}",
                        site.done_address, site.done_execution, site.module
                    ));
                }
            }
            PythonEvent::GilWait | PythonEvent::GilAcquire | PythonEvent::GilRelease => {
                for site in self.gil.iter().flat_map(|gil| gil.sites(event)) {
                    lines.push(format!(
                        "Location: {:#018x}, {}, {}",
                        site.address,
                        event.name(),
                        site.execution
                    ));
                }
                if self.free_threaded {
                    lines.push(
                        "Note: without the lock, which is how this build starts, nothing fires"
                            .into(),
                    );
                }
            }
            PythonEvent::FunctionEntry => {
                lines.extend(self.sites.iter().map(Site::to_string));
                match &self.entries {
                    Ok(entries) => lines.extend(entries.iter().map(EntrySite::to_string)),
                    Err(why) => lines.push(format!(
                        "Note: where only entries are enabled, returns are probed too: {why}"
                    )),
                }
            }
            PythonEvent::CfunctionEntry | PythonEvent::CfunctionReturn => {
                let functions = self.cfunctions.iter();
                for functions in functions {
                    lines.extend(functions.entries.iter().map(CallSite::to_string));
                    lines.extend(functions.returns.iter().map(ReturnSite::to_string));
                }
            }
            PythonEvent::FunctionReturn => {
                lines.extend(self.sites.iter().map(Site::to_string));
            }
        }
        if self.is_copied(event) {
            lines.push("Note: the compiler copied code, so that some events are not seen".into());
        }
        if event == PythonEvent::Audit
            && let Some(Err(why)) = self.audits.as_ref().map(|audits| &audits.without_hook)
        {
            lines.push(format!(
                "Note: what Python code raises by sys.audit() is seen only if there is a hook: {why}"
            ));
        }
        lines.extend(self.notes.iter().map(|note| format!("Note: {note}")));
        lines
    }

    /// Whether some firings of a probe cannot be seen in this build.
    #[must_use]
    pub fn is_partial(&self, event: PythonEvent) -> bool {
        let needs_hook = event == PythonEvent::Audit
            && self
                .audits
                .as_ref()
                .is_some_and(|audits| audits.without_hook.is_err());
        needs_hook || self.is_copied(event)
    }

    /// Whether the compiler copied the code of an event to where it is not found.
    fn is_copied(&self, event: PythonEvent) -> bool {
        match event {
            PythonEvent::Audit => self.audits.as_ref().is_some_and(|audits| audits.partial),
            PythonEvent::ImportStart | PythonEvent::ImportDone => {
                self.imports.as_ref().is_ok_and(|imports| imports.partial)
            }
            PythonEvent::FunctionEntry
            | PythonEvent::FunctionReturn
            | PythonEvent::GcStart
            | PythonEvent::GcDone
            | PythonEvent::GilWait
            | PythonEvent::GilAcquire
            | PythonEvent::GilRelease
            | PythonEvent::CfunctionEntry
            | PythonEvent::CfunctionReturn => false,
        }
    }

    fn method_in_words(&self, event: PythonEvent) -> String {
        match (event, self.method) {
            (PythonEvent::GcStart | PythonEvent::GcDone, _) => {
                "by the jump that decides whether the collector prints, and its return".into()
            }
            (PythonEvent::Audit, _) => "by the function that takes audit events".into(),
            (PythonEvent::ImportStart | PythonEvent::ImportDone, _) => {
                "by the call of _find_and_load in importlib, and its return".into()
            }
            (PythonEvent::GilWait | PythonEvent::GilAcquire | PythonEvent::GilRelease, _) => {
                "by the jumps behind what is done with the lock's mutex and conditions".into()
            }
            (PythonEvent::CfunctionEntry | PythonEvent::CfunctionReturn, _) => {
                "by what leads to the calls of objects in the handlers of its opcodes, and what follows them".into()
            }
            (_, Method::Calls) => "by the start and the end of the interpreter function".into(),
            (_, Method::Handlers) => "by the handlers of its opcodes".into(),
        }
    }
}

/// `Location: 0x000000000051a3b0, entry, conditional jump, frame in %rbx, opcodes 151 150`.
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Location: {:#018x}, {}, {}, frame in {}",
            self.address, self.event, self.execution, self.frame
        )?;
        if let InstructionPointer::Variable { location, .. } = self.instruction {
            write!(f, ", instruction in {location}")?;
        }
        if !self.opcodes.is_empty() {
            f.write_str(", opcodes")?;
            for opcode in &self.opcodes {
                write!(f, " {opcode}")?;
            }
        }
        match self.condition {
            Some(Condition::NonZero32(register)) => write!(f, ", if {register} is not 0"),
            Some(Condition::ArgumentIsNot(argument)) => write!(
                f,
                ", if their argument & {:#x} is not {}",
                argument.mask, argument.value
            ),
            None => Ok(()),
        }
    }
}

/// `Location: 0x000000000044514c, entry if alone, conditional jump, instruction in %r10, if its flags & 0x40 are
/// set`: where only entries are enabled.
impl fmt::Display for EntrySite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let site = &self.site;
        write!(
            f,
            "Location: {:#018x}, entry if alone, {}, frame in {}",
            site.address, site.execution, site.frame
        )?;
        if let Some(flags) = self.flags {
            write!(f, ", {flags}")?;
        }
        if self.specialised {
            f.write_str(", specialised instructions only")?;
        }
        Ok(())
    }
}

impl fmt::Display for FlagTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.set { "set" } else { "clear" };
        write!(f, "if flags {:#x} are {state}", self.mask)?;
        match (self.less, self.set) {
            (false, _) => Ok(()),
            (true, true) => f.write_str(" or sign and overflow differ"),
            (true, false) => f.write_str(" and sign and overflow are alike"),
        }
    }
}

/// `Location: 0x0000000000111642, cfunction-entry, conditional jump, object in %rbp, frame in %rbx, if flags 0x40 are set`
impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Location: {:#018x}, cfunction-entry, {}, object in {}, frame in {}",
            self.place.address, self.execution, self.object, self.frame
        )?;
        match self.flags {
            Some(flags) => write!(f, ", {flags}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ReturnSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Location: {:#018x}, cfunction-return, {}, frame in {}",
            self.place.address, self.execution, self.frame
        )
    }
}

/// `Location: 0x00000000002ea37c, audit without a hook, conditional jump, arguments in %r12, if flags 0x40 are set`
impl fmt::Display for NoHookSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Location: {:#018x}, audit without a hook, {}, arguments in {}, {}",
            self.address, self.execution, self.arguments, self.flags
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Event::Entry => "entry",
            Event::Throw => "throw",
            Event::Yield => "yield",
            Event::Return => "return",
            Event::Exit => "exit",
            Event::Compiled => "compiled code",
        })
    }
}

impl fmt::Display for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Emulated(Emulated::Push) => "push",
            Self::Emulated(Emulated::Nop) => "nop",
            Self::Emulated(Emulated::Call) => "call",
            Self::Emulated(Emulated::Jump) => "jump",
            Self::Emulated(Emulated::Branch) => "conditional jump",
            Self::Stepped => "single-stepped",
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(register) => write!(f, "{register}"),
            Self::Memory { base, offset } => write!(f, "{offset}({base})"),
        }
    }
}

/// By its name on x86-64, the only machine that interpreters are analysed for.
impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 15] = [
            "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx",
            "rdx", "rsi", "rdi",
        ];
        match (NAMES.get(usize::from(self.0 / 8)), self.0) {
            (Some(name), _) => write!(f, "%{name}"),
            (None, 152) => f.write_str("%rsp"),
            (None, 128) => f.write_str("%rip"),
            (None, other) => write!(f, "pt_regs+{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::analyse::analyse;
    use super::super::recorded::recorded;
    use super::*;

    fn described(name: &str, event: PythonEvent) -> Vec<String> {
        let files = recorded();
        let (_, file) = files.iter().find(|(found, _)| *found == name).unwrap();
        analyse(file).unwrap().describe(event)
    }

    #[test]
    fn registers_have_their_names() {
        let names = [0, 40, 104, 152].map(|offset| Register(offset).to_string());
        assert_eq!(names, ["%r15", "%rbx", "%rsi", "%rsp"]);
    }

    #[test]
    fn audit_is_partial_where_it_needs_a_hook() {
        for (name, file) in recorded() {
            let build = analyse(&file).unwrap();
            let lines = build.describe(PythonEvent::Audit);
            let told = lines.iter().any(|line| line.contains("sys.audit()"));
            let audits = build.audits.as_ref();
            let needs_hook = audits.is_some_and(|audits| audits.without_hook.is_err());
            assert_eq!(told, needs_hook, "{name}: {lines:?}");
            let is_partial = needs_hook || audits.is_some_and(|audits| audits.partial);
            assert_eq!(build.is_partial(PythonEvent::Audit), is_partial, "{name}");
            assert!(!build.is_partial(PythonEvent::FunctionEntry), "{name}");
        }
    }

    #[test]
    fn method_sites_and_notes_are_told() {
        let lines = described("3.12.1-gcc12-shared", PythonEvent::FunctionEntry);
        assert_eq!(lines[0], "CPython 3.12.1, by the handlers of its opcodes");
        let entry = lines
            .iter()
            .find(|line| line.contains(", entry, "))
            .unwrap();
        assert!(entry.contains("frame in %rbx, opcodes 151"), "{entry}");
        assert!(lines.last().unwrap().starts_with("Note: dispatch table at"));
        let lines = described("3.6.15-gcc12-shared", PythonEvent::ImportStart);
        assert!(lines[0].ends_with("by the call of _find_and_load in importlib, and its return"));
        let [start, done] = &lines[1..3] else {
            panic!("{lines:?}")
        };
        assert!(
            start.ends_with(", import-find-load-start, call, name in %rdx"),
            "{start}"
        );
        assert!(
            done.contains(", import-find-load-done, conditional jump, module in %r"),
            "{done}"
        );
    }
}
