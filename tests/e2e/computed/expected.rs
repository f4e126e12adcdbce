//! What a clause prints, by [`dlang::eval`]: each expression is computed with values in the place of its variables.

use std::collections::HashMap;
use std::fmt::Write as _;

use dlang::check::{CheckOptions, UnknownArgs, check};
use dlang::diag::{Origin, Source};
use dlang::eval::{Constants, EvalError, Value, eval};
use dlang::parse::Macros;
use dlang::program::{Action, Expr, Program, StmtKind};
use dlang::tags::Tag;

use super::random::{Clause, Expression, PLACES, Place, Statement};

/// The size of a string by default, its NUL included.
const STRSIZE: usize = 256;

/// The null string.
const NULL: &str = "strchr(\"\", 'x')";

/// 0, computed, but not when the program is checked: what is known then has rules of its own (`-1U`, the type of
/// `1 ? a : b`).
const ZERO: &str = "(strchr(\"\", 'x') != NULL)";

/// The clause has a fault: it prints nothing.
struct Fault;

/// What the clause prints; nothing if it has a fault.
pub(super) fn expected(clause: &Clause) -> Option<String> {
    let mut run = Run {
        seed: clause.seed,
        values: HashMap::new(),
        printed: String::new(),
    };
    run.all(&clause.statements).ok()?;
    Some(run.printed)
}

/// A clause while it runs.
struct Run {
    seed: u64,
    /// What is in the places, as constants that can stand for them.
    values: HashMap<usize, String>,
    printed: String,
}

/// The value of an expression.
enum Computed {
    Int(i64),
    Text(Vec<u8>),
    Null,
}

impl Run {
    fn all(&mut self, statements: &[Statement]) -> Result<(), Fault> {
        for statement in statements {
            match statement {
                Statement::Set(place, value) => {
                    let value = self.text(value);
                    self.set(*place, &value)?;
                }
                Statement::Change(place, op, value) => {
                    // It goes by the sign of what is changed.
                    let wide = if is_unsigned(PLACES[*place].ty) {
                        "uint64_t"
                    } else {
                        "int64_t"
                    };
                    let (old, value) = (&self.values[place], self.text(value));
                    self.set(*place, &format!("({wide}){old} {op} ({wide})({value})"))?;
                }
                Statement::Step(place, op) => {
                    let value = format!("{} {} 1", self.values[place], &op[..1]);
                    self.set(*place, &value)?;
                }
                Statement::If(cond, then, otherwise) => {
                    let Computed::Int(cond) = compute(&self.text(cond))? else {
                        panic!("a condition that is no number");
                    };
                    self.all(if cond != 0 { then } else { otherwise })?;
                }
                Statement::Print(value, false) => {
                    let Computed::Int(value) =
                        compute(&format!("(int64_t)({})", self.text(value)))?
                    else {
                        panic!("a string as a number");
                    };
                    writeln!(self.printed, "{}: {value}", self.seed).unwrap();
                }
                Statement::Print(value, true) => {
                    let text = match compute(&self.text(value))? {
                        Computed::Text(text) => String::from_utf8_lossy(&text).into_owned(),
                        Computed::Null => return Err(Fault),
                        Computed::Int(_) => panic!("a number as a string"),
                    };
                    writeln!(self.printed, "{}: {text}", self.seed).unwrap();
                }
            }
        }
        Ok(())
    }

    fn text(&self, value: &Expression) -> String {
        value.with(|place| self.values[&place].clone())
    }

    fn set(&mut self, place: usize, value: &str) -> Result<(), Fault> {
        let Place { ty, bits, .. } = &PLACES[place];
        let constant = match compute(&format!("({ty})({value})"))? {
            Computed::Int(value) => {
                let value = bits.map_or(value, |bits| field(value, bits, is_unsigned(ty)));
                format!("(({ty})({value:#x} + {ZERO}))")
            }
            Computed::Text(text) => format!("({ZERO} ? \"\" : {})", quoted(&text)),
            Computed::Null => NULL.into(),
        };
        self.values.insert(place, constant);
        Ok(())
    }
}

fn is_unsigned(ty: &str) -> bool {
    ty.starts_with('u')
}

/// What a bit-field keeps of a value.
fn field(value: i64, bits: u32, is_unsigned: bool) -> i64 {
    let above = 64 - bits;
    if is_unsigned {
        (value.cast_unsigned() << above >> above).cast_signed()
    } else {
        value << above >> above
    }
}

/// A string literal.
fn quoted(text: &[u8]) -> String {
    let escaped = text.iter().map(|byte| format!("\\{byte:03o}"));
    format!("\"{}\"", escaped.collect::<String>())
}

/// The value of an expression without variables.
fn compute(text: &str) -> Result<Computed, Fault> {
    let program = checked(&format!("BEGIN {{ trace({text}); }}"));
    let program = program.unwrap_or_else(|tag| panic!("{tag}: {text}"));
    match eval(traced(&program), &Constants { strsize: STRSIZE }) {
        Ok(Value::Int(value)) => Ok(Computed::Int(value)),
        Ok(Value::Str(text)) => Ok(Computed::Text(text.into_owned())),
        Err(EvalError::NullString) => Ok(Computed::Null),
        Err(EvalError::DivideByZero | EvalError::BadAddress) => Err(Fault),
        Err(EvalError::NotConstant) => panic!("not computed: {text}"),
    }
}

fn checked(text: &str) -> Result<Program, Tag> {
    let source = Source {
        origin: Origin::Script("computed.d".into()),
        text: text.into(),
    };
    let first = |errors: Vec<dlang::diag::Diagnostic>| errors[0].tag;
    let ast = dlang::parse(&[source], &Macros::default()).map_err(first)?;
    check(&ast, &UnknownArgs, &CheckOptions::default()).map_err(first)
}

/// What the program's only statement traces.
fn traced(program: &Program) -> &Expr {
    let StmtKind::Action(Action::Trace(expr)) = &program.clauses[0].body[0].kind else {
        panic!("{program:#?}");
    };
    expr
}
