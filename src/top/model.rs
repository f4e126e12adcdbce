//! What the screen shows: functions and their numbers, from the stacks of the last snapshots.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use actions::consume::snapshot::{Snapshot, Unit};

/// A function: how it is called, and where it is; by its place in [`Model::functions`].
pub(super) type FunctionId = usize;

/// A function and the line in it, where that is known.
type Place = (FunctionId, Option<u32>);

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Function {
    pub(super) name: String,
    /// Its file; empty where that is not known.
    pub(super) file: String,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// All functions.
    Functions,
    /// One: who calls it, whom it calls, its lines.
    Function(FunctionId),
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// What a function has itself.
    Own,
    /// With all that it calls.
    Total,
    /// By name.
    Name,
}

/// Since when numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// The run's start.
    Start,
    /// The snapshot before the last.
    Last,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) kind: &'static str,
    /// The function that it leads to.
    pub(super) function: Option<FunctionId>,
    pub(super) name: String,
    pub(super) place: String,
    pub(super) own: i64,
    pub(super) total: i64,
}

/// Everything that is shown, and how.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) view: View,
    pub(super) sort: Column,
    pub(super) since: Since,
    pub(super) paused: bool,
    /// The row that is chosen.
    pub(super) selected: usize,
    /// The last thing that there was to say.
    pub(super) message: Option<String>,
    pub(super) functions: Vec<Function>,
    numbers: HashMap<Function, FunctionId>,
    /// Of each frame, its function and line.
    frames: Vec<Place>,
    now: Snapshot,
    before: Snapshot,
    /// What came while the screen was paused.
    waiting: Option<Snapshot>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            view: View::Functions,
            sort: Column::Own,
            since: Since::Last,
            paused: false,
            selected: 0,
            message: None,
            functions: Vec::new(),
            numbers: HashMap::new(),
            frames: Vec::new(),
            now: Snapshot::default(),
            before: Snapshot::default(),
            waiting: None,
        }
    }
}

impl Model {
    /// Takes the next snapshot.
    pub(super) fn update(&mut self, snapshot: Snapshot) {
        if self.paused && !snapshot.last {
            self.waiting = Some(snapshot);
            return;
        }
        for text in snapshot.frames.iter().skip(self.frames.len()) {
            let (function, line) = parts(text);
            let next = self.functions.len();
            let id = *self.numbers.entry(function.clone()).or_insert(next);
            if id == next {
                self.functions.push(function);
            }
            self.frames.push((id, line));
        }
        self.before = std::mem::replace(&mut self.now, snapshot);
    }

    /// Stops the screen, or lets it go on.
    pub(super) fn pause(&mut self) {
        self.paused = !self.paused;
        if let (false, Some(snapshot)) = (self.paused, self.waiting.take()) {
            self.update(snapshot);
        }
    }

    /// What was measured, and in which unit.
    pub(super) fn measured(&self) -> (&str, Unit) {
        (&self.now.title, self.now.unit)
    }

    /// The seconds that the numbers are of.
    pub(super) fn seconds(&self) -> f64 {
        let start = match self.since {
            Since::Start => 0,
            Since::Last => self.before.time,
        };
        let passed = self.now.time.saturating_sub(start);
        std::time::Duration::from_nanos(passed).as_secs_f64()
    }

    /// The stacks with their numbers, as frames of functions with lines.
    fn stacks(&self) -> Vec<(Vec<Place>, i64)> {
        let before: HashMap<&[u32], i64> = match self.since {
            Since::Start => HashMap::new(),
            Since::Last => {
                let stacks = self.before.stacks.iter();
                stacks
                    .map(|(frames, value)| (&frames[..], *value))
                    .collect()
            }
        };
        let stacks = self.now.stacks.iter().map(|(frames, value)| {
            let more = value - before.get(&frames[..]).copied().unwrap_or(0);
            let known = frames.iter();
            let known = known.filter_map(|frame| self.frames.get(*frame as usize).copied());
            (known.collect(), more)
        });
        stacks.filter(|(_, value)| *value > 0).collect()
    }

    /// All that there is.
    pub(super) fn total(&self) -> i64 {
        self.stacks().iter().map(|(_, value)| value).sum()
    }

    /// What the view shows, sorted.
    pub(super) fn rows(&self) -> Vec<Row> {
        match self.view {
            View::Functions => self.of_functions(),
            View::Function(function) => self.of_function(function),
        }
    }

    fn of_functions(&self) -> Vec<Row> {
        let mut numbers: HashMap<FunctionId, (i64, i64)> = HashMap::new();
        for (frames, value) in self.stacks() {
            if let Some((innermost, _)) = frames.first() {
                numbers.entry(*innermost).or_default().0 += value;
            }
            // Once, however often it calls itself.
            let all: BTreeSet<_> = frames.iter().map(|(function, _)| *function).collect();
            for function in all {
                numbers.entry(function).or_default().1 += value;
            }
        }
        let rows = numbers.into_iter();
        let mut rows: Vec<_> = rows
            .map(|(function, (own, total))| self.row("", function, own, total))
            .collect();
        self.sort(&mut rows);
        rows
    }

    /// The callers of a function, what it calls, and its lines, in this order.
    fn of_function(&self, function: FunctionId) -> Vec<Row> {
        let mut callers: HashMap<FunctionId, (i64, i64)> = HashMap::new();
        let mut callees = callers.clone();
        let mut lines: HashMap<Option<u32>, (i64, i64)> = HashMap::new();
        for (frames, value) in self.stacks() {
            let (mut above, mut below, mut at) =
                (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for (place, (here, line)) in frames.iter().enumerate() {
                if *here != function {
                    continue;
                }
                above.extend(frames.get(place + 1).map(|(caller, _)| *caller));
                below.extend(place.checked_sub(1).map(|place| frames[place].0));
                at.insert(*line);
                if place == 0 {
                    lines.entry(*line).or_default().0 += value;
                }
            }
            let innermost = frames.first().map(|(function, _)| *function);
            for caller in above {
                let own = if innermost == Some(function) {
                    value
                } else {
                    0
                };
                let numbers = callers.entry(caller).or_default();
                *numbers = (numbers.0 + own, numbers.1 + value);
            }
            for callee in below {
                let own = if innermost == Some(callee) { value } else { 0 };
                let numbers = callees.entry(callee).or_default();
                *numbers = (numbers.0 + own, numbers.1 + value);
            }
            for line in at {
                lines.entry(line).or_default().1 += value;
            }
        }
        let mut all = Vec::new();
        for (kind, numbers) in [("caller", callers), ("calls", callees)] {
            let mut rows: Vec<_> = numbers
                .into_iter()
                .map(|(function, (own, total))| self.row(kind, function, own, total))
                .collect();
            self.sort(&mut rows);
            all.extend(rows);
        }
        let name = self.functions.get(function).map(|function| &*function.name);
        let name = name.unwrap_or_default();
        let mut rows: Vec<_> = lines
            .into_iter()
            .filter_map(|(line, (own, total))| {
                Some(Row {
                    kind: "line",
                    function: None,
                    name: name.into(),
                    place: format!("line {}", line?),
                    own,
                    total,
                })
            })
            .collect();
        self.sort(&mut rows);
        all.extend(rows);
        all
    }

    fn row(&self, kind: &'static str, id: FunctionId, own: i64, total: i64) -> Row {
        let function = self.functions.get(id);
        Row {
            kind,
            function: Some(id),
            name: function.map_or_else(String::new, |function| function.name.clone()),
            place: function.map_or_else(String::new, |function| function.file.clone()),
            own,
            total,
        }
    }

    fn sort(&self, rows: &mut [Row]) {
        let name = |row: &Row| (row.name.clone(), row.place.clone());
        match self.sort {
            Column::Own => rows.sort_by_key(|row| (Reverse((row.own, row.total)), name(row))),
            Column::Total => rows.sort_by_key(|row| (Reverse((row.total, row.own)), name(row))),
            Column::Name => rows.sort_by_key(name),
        }
    }
}

/// The function and the line of a frame: of `file:line function`, as `jstack()` has them, of
/// `function (file:line)`, as calls have them, or of any other, which is all function.
fn parts(frame: &str) -> (Function, Option<u32>) {
    let function = |name: &str, file: &str| Function {
        name: name.into(),
        file: file.into(),
    };
    if let Some((place, name)) = frame.split_once(' ')
        && let Some((file, line)) = place.rsplit_once(':')
        && let Ok(line) = line.parse()
    {
        return (function(name, file), Some(line));
    }
    if let Some((name, place)) = frame
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once(" ("))
        && let Some((file, line)) = place.rsplit_once(':')
        && line.parse::<u32>().is_ok()
    {
        // It is where the function begins, and so the same in all calls.
        return (function(name, file), None);
    }
    (function(frame, ""), None)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Snapshots of a program in which `main` calls `work` and `work` calls `leaf` and itself.
    pub(in super::super) fn snapshot(time: u64, values: &[i64]) -> Snapshot {
        let frames = [
            "a.py:1 main",
            "a.py:9 work",
            "a.py:10 work",
            "b.py:3 leaf",
            "libc.so.6`read",
        ];
        let stacks = [vec![3, 1, 0], vec![2, 0], vec![4, 3, 2, 1, 0], vec![0]];
        Snapshot {
            time: time * 1_000_000_000,
            title: "@".into(),
            unit: Unit::Count,
            frames: frames.map(str::to_owned).into(),
            stacks: stacks.into_iter().zip(values.iter().copied()).collect(),
            last: false,
        }
    }

    fn shown(rows: &[Row]) -> Vec<String> {
        let row = |row: &Row| {
            let Row {
                kind,
                name,
                place,
                own,
                total,
                ..
            } = row;
            format!("{kind} {name} {place} {own} {total}")
                .trim_start()
                .to_owned()
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn functions_have_their_own_and_with_what_they_call() {
        let mut model = Model::default();
        model.update(snapshot(1, &[10, 5, 2, 1]));
        assert_eq!(
            shown(&model.rows()),
            [
                "leaf b.py 10 12",
                "work a.py 5 17",
                "libc.so.6`read  2 2",
                "main a.py 1 18"
            ]
        );
        model.update(snapshot(2, &[10, 9, 2, 1]));
        assert_eq!(shown(&model.rows()), ["work a.py 4 4", "main a.py 0 4"]);
        assert_eq!(model.total(), 4);
        model.since = Since::Start;
        model.sort = Column::Total;
        assert_eq!(shown(&model.rows())[0], "main a.py 1 22");
        model.sort = Column::Name;
        assert_eq!(shown(&model.rows())[0], "leaf b.py 10 12");
    }

    #[test]
    fn a_function_has_callers_callees_and_lines() {
        let mut model = Model::default();
        model.update(snapshot(1, &[10, 5, 2, 1]));
        let work = model.rows()[1].function.unwrap();
        model.view = View::Function(work);
        assert_eq!(
            shown(&model.rows()),
            [
                "caller main a.py 5 17",
                "caller work a.py 0 2",
                "calls leaf b.py 10 12",
                "calls work a.py 0 2",
                "line work line 10 5 7",
                "line work line 9 0 12",
            ]
        );
    }

    #[test]
    fn what_comes_while_it_is_paused_is_shown_afterwards() {
        let mut model = Model::default();
        model.update(snapshot(1, &[1]));
        model.pause();
        model.update(snapshot(2, &[5]));
        assert_eq!(model.total(), 1);
        model.pause();
        assert_eq!(model.total(), 4);
    }

    #[test]
    fn frames_have_parts_in_all_spellings() {
        for (frame, name, file, line) in [
            ("dir/a.py:12 C.work", "C.work", "dir/a.py", Some(12)),
            ("work (a.py:12)", "work", "a.py", None),
            (
                "libc.so.6`operator new (int)",
                "libc.so.6`operator new (int)",
                "",
                None,
            ),
            ("1234", "1234", "", None),
            (
                "<frozen importlib._bootstrap>:241 _call",
                "<frozen importlib._bootstrap>:241 _call",
                "",
                None,
            ),
        ] {
            let (function, found) = parts(frame);
            assert_eq!(
                (&*function.name, &*function.file, found),
                (name, file, line)
            );
        }
    }
}
