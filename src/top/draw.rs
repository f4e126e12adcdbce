//! The screen, and the same as plain text.

use std::fmt::Write as _;

use actions::consume::snapshot::Unit;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row as Cells, Table, TableState};

use super::model::{Column, Model, Row, Since, View};

/// The rows of a plain table.
const PLAIN_ROWS: usize = 20;

/// What keys do.
const KEYS: &str = "q quit  space pause  enter look into  esc back  o/t/n sort  s since";

/// Draws all of the screen.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model) {
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ]);
    let [head, body, foot] = areas.areas(frame.area());
    frame.render_widget(Line::from(title(model)).bold(), head);
    let rows = model.rows();
    model.selected = model.selected.min(rows.len().saturating_sub(1));
    let all = model.total();
    let unit = model.measured().1;
    let cells = rows.iter().map(|row| {
        let texts = texts(row, all, unit);
        let [own, own_share, total, total_share, kind, name, place] = texts;
        let numbers = [own, own_share, total, total_share]
            .map(|text| Cell::from(Line::from(text).right_aligned()));
        let words = [kind, name, place].map(Cell::from);
        Cells::new(numbers.into_iter().chain(words))
    });
    let widths = [
        Constraint::Length(10),
        Constraint::Length(6),
        Constraint::Length(10),
        Constraint::Length(6),
        Constraint::Length(if model.view == View::Functions { 0 } else { 6 }),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ];
    let header = header(model);
    let header = Cells::new(header.map(|text| {
        let is_number = text.ends_with("OWN") || text.ends_with("TOTAL") || text == "%";
        let line = Line::from(text);
        Cell::from(if is_number {
            line.right_aligned()
        } else {
            line
        })
    }));
    let table = Table::new(cells, widths)
        .header(header.style(Style::new().reversed()))
        .row_highlight_style(Style::new().bold())
        .highlight_symbol("> ");
    let mut state = TableState::new().with_selected(model.selected);
    frame.render_stateful_widget(table, body, &mut state);
    let below = model.message.as_deref().unwrap_or(KEYS);
    frame.render_widget(Line::from(below).dim(), foot);
}

/// A table of what there is, for whoever has no screen.
pub(super) fn plain(model: &Model) -> String {
    let mut text = title(model);
    text.push('\n');
    let [own, share, total, total_share, _, name, place] = header(model);
    let mut line = |[own, share, total, total_share, name, place]: [&str; 6]| {
        let row = format!("{own:>10} {share:>6} {total:>10} {total_share:>6} {name:<40} {place}");
        let _ = writeln!(text, "{}", row.trim_end());
    };
    line([&own, &share, &total, &total_share, &name, &place]);
    let (all, unit) = (model.total(), model.measured().1);
    for row in model.rows().iter().take(PLAIN_ROWS) {
        let [own, share, total, total_share, _, name, place] = texts(row, all, unit);
        line([&own, &share, &total, &total_share, &name, &place]);
    }
    text.push('\n');
    text
}

fn title(model: &Model) -> String {
    let (title, unit) = model.measured();
    let (all, seconds) = (number(model.total(), unit), model.seconds());
    let what = match unit {
        Unit::Nanoseconds => "ms",
        Unit::Count => "times",
        Unit::Value => "in all",
    };
    let since = match model.since {
        Since::Start => "since the start",
        Since::Last => "in the last",
    };
    let paused = if model.paused { "  PAUSED" } else { "" };
    let view = match model.view {
        View::Functions => String::new(),
        View::Function(function) => {
            let function = model.functions.get(function);
            function.map_or_else(String::new, |function| format!("  {}", function.name))
        }
    };
    format!("rdtrace top  {title}: {all} {what} {since} {seconds:.1} s{view}{paused}")
}

/// The heads of columns; the one that rows are sorted by is marked.
fn header(model: &Model) -> [String; 7] {
    let mark = |column, text: &str| {
        let mark = if model.sort == column { "*" } else { "" };
        format!("{mark}{text}")
    };
    let percent = || "%".to_owned();
    let own = mark(Column::Own, "OWN");
    let total = mark(Column::Total, "TOTAL");
    let name = mark(Column::Name, "FUNCTION");
    [
        own,
        percent(),
        total,
        percent(),
        String::new(),
        name,
        "WHERE".into(),
    ]
}

fn texts(row: &Row, all: i64, unit: Unit) -> [String; 7] {
    [
        number(row.own, unit),
        share(row.own, all),
        number(row.total, unit),
        share(row.total, all),
        row.kind.into(),
        row.name.clone(),
        row.place.clone(),
    ]
}

/// Times in milliseconds.
fn number(number: i64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds => {
            let micros = number / 1000;
            format!("{}.{:01}", micros / 1000, micros % 1000 / 100)
        }
        Unit::Count | Unit::Value => number.to_string(),
    }
}

fn share(part: i64, all: i64) -> String {
    let (part, all) = (i128::from(part), i128::from(all.max(1)));
    let tenths = part * 1000 / all;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::model::tests::snapshot;
    use super::*;

    fn screen(model: &mut Model) -> String {
        let mut terminal = Terminal::new(TestBackend::new(72, 8)).unwrap();
        terminal.draw(|frame| draw(frame, model)).unwrap();
        let lines = terminal.backend().to_string();
        let lines = lines
            .lines()
            .map(|line| line.trim_matches('"').trim_end().to_owned() + "\n");
        lines.collect()
    }

    fn model() -> Model {
        let mut model = Model::default();
        model.update(snapshot(2, &[10, 5, 2, 1]));
        model
    }

    #[test]
    fn the_screen_has_all_functions() {
        assert_eq!(
            screen(&mut model()),
            "\
rdtrace top  @: 18 times in the last 2.0 s
        *OWN      %      TOTAL      %  FUNCTION         WHERE
>         10   55.5         12   66.6  leaf             b.py
           5   27.7         17   94.4  work             a.py
           2   11.1          2   11.1  libc.so.6`read
           1    5.5         18  100.0  main             a.py

q quit  space pause  enter look into  esc back  o/t/n sort  s since
"
        );
    }

    #[test]
    fn the_screen_looks_into_a_function() {
        let mut model = model();
        model.view = View::Function(model.rows()[0].function.unwrap());
        model.paused = true;
        model.message = Some("17 drops on CPU 0".into());
        assert_eq!(
            screen(&mut model),
            "\
rdtrace top  @: 18 times in the last 2.0 s  leaf  PAUSED
        *OWN      %      TOTAL      %        FUNCTION      WHERE
>         10   55.5         12   66.6 caller work          a.py
           2   11.1          2   11.1 calls  libc.so.6`rea
          10   55.5         12   66.6 line   leaf          line 3


17 drops on CPU 0
"
        );
    }

    #[test]
    fn without_a_screen_it_is_a_table() {
        assert_eq!(
            plain(&model()),
            "\
rdtrace top  @: 18 times in the last 2.0 s
      *OWN      %      TOTAL      % FUNCTION                                 WHERE
        10   55.5         12   66.6 leaf                                     b.py
         5   27.7         17   94.4 work                                     a.py
         2   11.1          2   11.1 libc.so.6`read
         1    5.5         18  100.0 main                                     a.py

"
        );
    }

    #[test]
    fn times_are_milliseconds() {
        assert_eq!(number(12_345_678, Unit::Nanoseconds), "12.3");
        assert_eq!(share(1, 0), "100.0");
    }
}
