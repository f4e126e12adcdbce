//! What the shells' completions ask rdtrace for, by the hidden option `--complete KIND`: names that only the
//! machine, or this very binary, knows. One a line.

use std::collections::BTreeSet;
use std::fs;

use actions::consume::OutputFormat;
use clap_complete::Shell;
use dlang::program::ProbeDesc;
use provider::catalog::Catalog;

use crate::examples::Example;
use crate::options;

/// The candidates of a kind; none of one that is not known.
pub(crate) fn of(kind: &str) -> Vec<String> {
    match kind {
        "formats" => {
            let formats = OutputFormat::ALL.iter();
            formats.map(|(name, _)| (*name).to_owned()).collect()
        }
        "options" => {
            let mut names = options::names();
            names.sort_unstable();
            names.into_iter().map(str::to_owned).collect()
        }
        "pids" => processes(),
        "providers" => {
            let listed = Catalog::new().list(&ProbeDesc::default());
            let names: BTreeSet<_> = listed
                .iter()
                .map(|probe| probe.desc.provider.clone())
                .collect();
            names.into_iter().collect()
        }
        "scripts" => Example::all()
            .map(|example| example.name.to_owned())
            .collect(),
        _ => Vec::new(),
    }
}

/// The processes that run a program, newest first: kernel threads run none.
fn processes() -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut pids: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable_by_key(|pid| std::cmp::Reverse(*pid));
    let own = std::process::id();
    let runs = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline"));
        *pid != own && line.is_ok_and(|line| !line.is_empty())
    };
    pids.iter()
        .filter(|pid| runs(pid))
        .map(u32::to_string)
        .collect()
}

/// What completes the values of options in bash, where the generated function does not.
const BASH: &str = r#"
_rdtrace_values() {
    local cur="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}" kind=""
    case "$previous" in
        -x) kind=options ;;
        -p) kind=pids ;;
        -P | -n) kind=providers ;;
        -s) kind=scripts ;;
        run) [ "$COMP_CWORD" = 2 ] && kind=scripts ;;
    esac
    if [ -z "$kind" ]; then
        _rdtrace "$@"
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$("$1" --complete "$kind" 2>/dev/null)" -- "$cur")
    if [ "$previous" = -s ]; then
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -F _rdtrace_values -o bashdefault -o default rdtrace
"#;

/// The same in zsh: a function for the places of [`in_zsh`].
const ZSH: &str = r#"
_rdtrace_values() {
    # What the completion system wants of each match comes before the kind.
    local kind="${@[-1]}"
    local -a found
    found=("${(@f)$(rdtrace --complete $kind 2>/dev/null)}")
    compadd "${@[1,-2]}" -a found
    [ "$kind" = scripts ] && _files
}
"#;

/// The same in fish.
const FISH: &str = r"
complete -c rdtrace -s x -x -a '(rdtrace --complete options)'
complete -c rdtrace -s p -x -a '(rdtrace --complete pids)'
complete -c rdtrace -s P -x -a '(rdtrace --complete providers)'
complete -c rdtrace -s n -x -a '(rdtrace --complete providers)'
complete -c rdtrace -s s -r -a '(rdtrace --complete scripts)'
complete -c rdtrace -l format -x -a '(rdtrace --complete formats)'
complete -c rdtrace -n '__fish_seen_subcommand_from run' -f -a '(rdtrace --complete scripts)'
";

/// Adds to the completions of a shell what asks for candidates.
pub(crate) fn add_to(completions: &str, shell: Shell) -> String {
    // Of the shells that there are, and may come, the others have just what is generated.
    match shell {
        Shell::Bash => format!("{completions}{BASH}"),
        Shell::Fish => format!("{completions}{FISH}"),
        Shell::Zsh => in_zsh(completions),
        Shell::Elvish | Shell::PowerShell | _ => completions.to_owned(),
    }
}

/// Zsh's completions name what completes a value behind it: `'*-x+[Set an option]:NAME[=VALUE]:_default'`.
fn in_zsh(completions: &str) -> String {
    let kinds = [
        ("'*-x+[", "options"),
        ("'*-p+[", "pids"),
        ("'*-P+[", "providers"),
        ("'*-n+[", "providers"),
        ("'*-s+[", "scripts"),
    ];
    let line = |line: &str| {
        let kind = kinds.iter().find(|(start, _)| line.starts_with(start));
        match kind {
            Some((_, kind)) => line.replace(":_default'", &format!(":_rdtrace_values {kind}'")),
            // The script's name, and then its arguments, with options among them.
            None => match line.strip_prefix("'::operands -- The script") {
                Some(rest) => {
                    let rest = rest.replace(":_default'", ":_rdtrace_values scripts'");
                    format!("'*:operands -- The script{rest}")
                }
                None => line.to_owned(),
            },
        }
    };
    // A first operand that may be anything would be taken for the one that `run` is.
    let is_operand = |line: &&str| line.starts_with("'::operands -- Macro");
    let completions = completions.replace("$line[2]", "$line[1]");
    let mut lines = completions.lines().filter(|line| !is_operand(line));
    // The first line must stay the first: it tells zsh what the file is for.
    let first = lines.next().unwrap_or_default();
    let rest: Vec<String> = lines.map(line).collect();
    format!("{first}\n{ZSH}{}\n", rest.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_where_they_are_used() {
        assert!(of("formats").contains(&"flamegraph".to_owned()));
        assert!(of("options").contains(&"oformat".to_owned()));
        assert!(of("scripts").contains(&"slow".to_owned()));
        assert!(of("nothing").is_empty());
        let ours = std::os::unix::process::parent_id().to_string();
        assert!(of("pids").contains(&ours));
    }

    #[test]
    fn zsh_asks_for_each_kind() {
        let text = in_zsh(
            "#compdef rdtrace\n'*-x+[Set]:NAME:_default' \\\n'::operands -- The script\\: x:_default' \\\n'-c+[Run]:COMMAND:_default' \\\n'::operands -- Macro:_default' \\\ncase $line[2] in",
        );
        assert!(text.starts_with("#compdef rdtrace\n"));
        assert!(text.contains("'*-x+[Set]:NAME:_rdtrace_values options' \\"));
        assert!(text.contains("'*:operands -- The script\\: x:_rdtrace_values scripts' \\"));
        assert!(!text.contains("Macro") && text.contains("case $line[1] in"));
        assert!(text.contains("'-c+[Run]:COMMAND:_default' \\"));
    }
}
