//! What the documents must say.

use dlang::names::TABLE;

/// Each of D's names is in docs/language.md, with its state.
#[test]
fn every_name_has_its_state_in_the_language_page() {
    let page = include_str!("../../docs/language.md");
    let words: std::collections::HashSet<&str> = page
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    // `arg1` to `arg8` stand between `arg0` and `arg9`.
    let ellipsis = |name: &str| name.strip_prefix("arg").is_some_and(|n| n.len() == 1);
    for row in TABLE {
        let name = row.name;
        assert!(words.contains(name) || ellipsis(name), "{name}");
    }
}
