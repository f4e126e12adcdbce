//! Names that are much like the wanted one: `did you mean ...?`.

/// The name that a few slips of the finger turn into `wanted`.
pub(crate) fn near(wanted: &str, names: &[impl AsRef<str>]) -> Option<String> {
    if wanted.is_empty() {
        return None;
    }
    let allowed = (wanted.chars().count() / 3).clamp(1, 3);
    names
        .iter()
        .map(AsRef::as_ref)
        .map(|name| (distance(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= allowed && *name != wanted)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

/// How many characters must be put in, left out, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(x != y);
            let mut best = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usdt::cpython::MARKERS;

    #[test]
    fn slips_of_the_finger() {
        let names = MARKERS.map(|(name, _)| name);
        for (typed, meant) in [
            ("function-enty", Some("function-entry")),
            ("funtcion-return", Some("function-return")),
            ("gc_start", Some("gc-start")),
            ("lien", Some("line")),
            ("GC-START", Some("gc-start")),
            ("start", None),
            ("", None),
        ] {
            assert_eq!(near(typed, &names).as_deref(), meant, "{typed}");
        }
    }
}
