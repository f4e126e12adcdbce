//! Random clauses, the same for the same seed: statements on variables of all types and scopes.

use std::fmt;

use super::numbers::Random;

/// The variables, which each clause sets before it uses them.
pub(super) const DECLARATIONS: &str = "\
struct s { char c; unsigned char uc; short h; unsigned b : 3; int d : 11; uint64_t w : 40; long a[4]; };
char g0; uint8_t g1; int16_t g2; uint16_t g3; int g4; uint32_t g5; long g6; uint64_t g7; string g8;
self char t0; self unsigned short t1; self int t2; self uint64_t t3; self string t4;
this int8_t l0; this int l1; this uint32_t l2; this long l3; this string l4;
long m0[int, string]; uint8_t m1[char]; string m2[string];
struct s g; self struct s t; this struct s l;
";

/// What a variable or a member is called, and its type; of a bit-field the smallest that holds it, and its bits.
pub(super) struct Place {
    pub(super) name: &'static str,
    /// `string`, or an integer's.
    pub(super) ty: &'static str,
    pub(super) bits: Option<u32>,
}

const fn place(name: &'static str, ty: &'static str) -> Place {
    Place {
        name,
        ty,
        bits: None,
    }
}

const fn field(name: &'static str, ty: &'static str, bits: u32) -> Place {
    Place {
        name,
        ty,
        bits: Some(bits),
    }
}

/// All places.
pub(super) const PLACES: [Place; 35] = [
    place("g0", "char"),
    place("g1", "uint8_t"),
    place("g2", "int16_t"),
    place("g3", "uint16_t"),
    place("g4", "int"),
    place("g5", "uint32_t"),
    place("g6", "long"),
    place("g7", "uint64_t"),
    place("self->t0", "char"),
    place("self->t1", "unsigned short"),
    place("self->t2", "int"),
    place("self->t3", "uint64_t"),
    place("this->l0", "int8_t"),
    place("this->l1", "int"),
    place("this->l2", "uint32_t"),
    place("this->l3", "long"),
    place("m0[7, \"x\"]", "long"),
    place("m0[-7, \"\"]", "long"),
    place("m1['a']", "uint8_t"),
    place("g.c", "char"),
    place("g.uc", "unsigned char"),
    field("g.b", "unsigned char", 3),
    field("g.d", "short", 11),
    place("g.a[2]", "long"),
    place("self->t.h", "short"),
    field("self->t.b", "unsigned char", 3),
    field("self->t.w", "uint64_t", 40),
    place("self->t.a[3]", "long"),
    field("this->l.d", "short", 11),
    place("this->l.a[0]", "long"),
    place("g8", "string"),
    place("self->t4", "string"),
    place("this->l4", "string"),
    place("m2[\"x\"]", "string"),
    place("m2[\"\"]", "string"),
];

/// The first of the places that are strings.
const TEXTS: usize = 30;

const TYPES: [&str; 13] = [
    "char",
    "unsigned char",
    "short",
    "unsigned short",
    "int",
    "unsigned int",
    "long",
    "unsigned long",
    "int8_t",
    "uint16_t",
    "int32_t",
    "int64_t",
    "uint64_t",
];
const NUMBERS: [&str; 22] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "8",
    "10",
    "31",
    "32",
    "63",
    "64",
    "100",
    "127",
    "128",
    "255",
    "65535",
    "2147483647",
    "2147483648",
    "0xffffffff",
    "0x7fffffffffffffff",
    "0x8000000000000000",
    "'a'",
];
const WORDS: [&str; 14] = [
    "\"\"",
    "\"a\"",
    "\"/\"",
    "\"//a/.././b/\"",
    "\"/usr/lib/x\"",
    "\"abcabc\"",
    "\"Hello World\"",
    "\"-12\"",
    "\"0x7f\"",
    "\"777\"",
    "\"b\"",
    "\"99999999999999999999\"",
    "\"caf\\303\\251\"",
    "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"",
];
const ARITHMETIC: [&str; 10] = ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"];
const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

/// An expression: text with places in it.
#[derive(Clone, Debug)]
pub(super) struct Expression(Vec<Part>);

/// A part of an expression.
#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Place(usize),
}

impl Expression {
    /// The text with these words for the places.
    pub(super) fn with(&self, word: impl Fn(usize) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Place(place) => word(*place),
        });
        parts.collect()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with(|place| PLACES[place].name.to_owned()))
    }
}

/// A statement of a clause.
#[derive(Debug)]
pub(super) enum Statement {
    /// `place = value`.
    Set(usize, Expression),
    /// `place op= value`.
    Change(usize, &'static str, Expression),
    /// `place++` and the like: as a statement its value is not used.
    Step(usize, &'static str),
    /// `if (...) { ... } else { ... }`.
    If(Expression, Vec<Statement>, Vec<Statement>),
    /// A line with the value; a string or not.
    Print(Expression, bool),
}

/// A clause on BEGIN.
#[derive(Debug)]
pub(super) struct Clause {
    /// Its number, which its lines begin with.
    pub(super) seed: u64,
    pub(super) statements: Vec<Statement>,
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "BEGIN\n{{")?;
        write_all(f, self.seed, &self.statements)?;
        writeln!(f, "}}")
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, seed: u64, statements: &[Statement]) -> fmt::Result {
    for statement in statements {
        match statement {
            Statement::Set(place, value) => writeln!(f, "{} = {value};", PLACES[*place].name)?,
            Statement::Change(place, op, value) => {
                writeln!(f, "{} {op}= {value};", PLACES[*place].name)?;
            }
            Statement::Step(place, op) => writeln!(f, "{}{op};", PLACES[*place].name)?,
            Statement::If(cond, then, otherwise) => {
                writeln!(f, "if ({cond}) {{")?;
                write_all(f, seed, then)?;
                writeln!(f, "}} else {{")?;
                write_all(f, seed, otherwise)?;
                writeln!(f, "}}")?;
            }
            Statement::Print(value, true) => {
                writeln!(f, "printf(\"{seed}: %s\\n\", {value});")?;
            }
            Statement::Print(value, false) => {
                writeln!(f, "printf(\"{seed}: %d\\n\", (int64_t)({value}));")?;
            }
        }
    }
    Ok(())
}

/// The clause of a seed.
pub(super) fn clause(seed: u64) -> Clause {
    let mut writer = Writer {
        random: Random(seed),
        set: Vec::new(),
    };
    let mut statements = Vec::new();
    for _ in 0..2 + writer.random.below(4) {
        for text in [false, true] {
            let place = writer.any_place(text);
            statements.push(Statement::Set(place, writer.constant(text)));
            writer.set.push(place);
        }
    }
    let size = 1 + writer.random.below(4);
    statements.extend(writer.body(size));
    let text = writer.random.one_in(3);
    statements.push(Statement::Print(writer.value(text, 3), text));
    Clause { seed, statements }
}

/// Joins what an expression is made of: texts, and expressions in their places.
macro_rules! joined {
    ($($part:expr),*) => {{
        let mut parts = Vec::new();
        $(Piece::from($part).add_to(&mut parts);)*
        Expression(parts)
    }};
}

/// What [`joined`] takes.
enum Piece {
    Text(&'static str),
    Expression(Expression),
}

impl From<&'static str> for Piece {
    fn from(text: &'static str) -> Self {
        Self::Text(text)
    }
}

impl From<Expression> for Piece {
    fn from(expression: Expression) -> Self {
        Self::Expression(expression)
    }
}

impl Piece {
    fn add_to(self, parts: &mut Vec<Part>) {
        match self {
            Self::Text(text) => parts.push(Part::Text(text.to_owned())),
            Self::Expression(expression) => parts.extend(expression.0),
        }
    }
}

/// A clause while it is written.
struct Writer {
    random: Random,
    /// The places that have a value.
    set: Vec<usize>,
}

impl Writer {
    fn any_place(&mut self, text: bool) -> usize {
        if text {
            TEXTS + self.random.below(PLACES.len() - TEXTS)
        } else {
            self.random.below(TEXTS)
        }
    }

    fn set_place(&mut self, text: bool) -> usize {
        let known = self.set.iter().filter(|place| (**place >= TEXTS) == text);
        let known: Vec<_> = known.copied().collect();
        known[self.random.below(known.len())]
    }

    fn body(&mut self, size: usize) -> Vec<Statement> {
        (0..size).map(|_| self.statement(size)).collect()
    }

    fn statement(&mut self, size: usize) -> Statement {
        let text = self.random.one_in(3);
        match self.random.below(8) {
            0 | 1 => Statement::Print(self.value(text, 3), text),
            2 if size > 1 => {
                let cond = self.value(false, 2);
                Statement::If(cond, self.body(size / 2), self.body(size / 2))
            }
            3 | 4 => {
                let op = self.random.pick(&ARITHMETIC);
                Statement::Change(self.set_place(false), op, self.operand(op, 2))
            }
            5 => {
                let op = self.random.pick(&["++", "--"]);
                Statement::Step(self.set_place(false), op)
            }
            _ => Statement::Set(self.set_place(text), self.value(text, 3)),
        }
    }

    fn constant(&mut self, text: bool) -> Expression {
        if text {
            joined!(self.random.pick(&WORDS))
        } else if self.random.one_in(3) {
            joined!("-", self.random.pick(&NUMBERS))
        } else {
            joined!(self.random.pick(&NUMBERS))
        }
    }

    fn value(&mut self, text: bool, depth: usize) -> Expression {
        if text {
            self.text(depth)
        } else {
            self.int(depth)
        }
    }

    fn leaf(&mut self, text: bool) -> Expression {
        if self.random.one_in(3) {
            self.constant(text)
        } else {
            Expression(vec![Part::Place(self.set_place(text))])
        }
    }

    fn int(&mut self, depth: usize) -> Expression {
        if depth == 0 || self.random.one_in(6) {
            return self.leaf(false);
        }
        let d = depth - 1;
        match self.random.below(20) {
            0..=5 => {
                let op = self.random.pick(&ARITHMETIC);
                joined!("(", self.int(d), " ", op, " ", self.operand(op, d), ")")
            }
            6 | 7 => {
                let op = self.random.pick(&COMPARISONS);
                joined!("(", self.int(d), " ", op, " ", self.int(d), ")")
            }
            8 => {
                let op = self.random.pick(&COMPARISONS);
                joined!("(", self.text(d), " ", op, " ", self.text(d), ")")
            }
            9 => {
                let op = self.random.pick(&["&&", "||", "^^"]);
                joined!("(", self.int(d), " ", op, " ", self.int(d), ")")
            }
            10 => joined!(
                self.random.pick(&["!", "~", "-", "+"]),
                "(",
                self.int(d),
                ")"
            ),
            11 => joined!(
                "(",
                self.int(d),
                " ? ",
                self.int(d),
                " : ",
                self.int(d),
                ")"
            ),
            12..=14 => joined!("((", self.random.pick(&TYPES), ")", self.int(d), ")"),
            15 => joined!("(", self.int(d), ", ", self.int(d), ")"),
            16 => joined!("strlen(", self.text(d), ")"),
            17 => {
                let function = self.random.pick(&["index", "rindex"]);
                if self.random.one_in(2) {
                    joined!(function, "(", self.text(d), ", ", self.text(0), ")")
                } else {
                    let start = self.int(d);
                    joined!(
                        function,
                        "(",
                        self.text(d),
                        ", ",
                        self.text(0),
                        ", ",
                        start,
                        ")"
                    )
                }
            }
            18 => {
                if self.random.one_in(2) {
                    joined!("strtoll(", self.text(d), ")")
                } else {
                    let base = self.random.pick(&["2", "8", "10", "16", "36"]);
                    joined!("strtoll(", self.text(d), ", ", base, ")")
                }
            }
            _ => {
                let functions = [
                    "htons", "htonl", "htonll", "ntohs", "ntohl", "ntohll", "getmajor", "getminor",
                ];
                joined!(self.random.pick(&functions), "(", self.int(d), ")")
            }
        }
    }

    /// The right operand of an arithmetic operator. What is divided by is no constant: zero would be an error.
    fn operand(&mut self, op: &str, depth: usize) -> Expression {
        if op != "/" && op != "%" {
            return self.int(depth);
        }
        let place = Expression(vec![Part::Place(self.set_place(false))]);
        if self.random.one_in(2) {
            place
        } else {
            joined!(
                "(",
                place,
                self.random.pick(&[" & ", " | ", " + "]),
                self.int(depth),
                ")"
            )
        }
    }

    fn text(&mut self, depth: usize) -> Expression {
        if depth == 0 || self.random.one_in(4) {
            return self.leaf(true);
        }
        let d = depth - 1;
        match self.random.below(11) {
            0 | 1 => joined!("strjoin(", self.text(d), ", ", self.text(d), ")"),
            2 => joined!("substr(", self.text(d), ", ", self.int(d), ")"),
            3 => joined!(
                "substr(",
                self.text(d),
                ", ",
                self.int(d),
                ", ",
                self.int(d),
                ")"
            ),
            4 => {
                let functions = ["basename", "dirname", "cleanpath", "toupper", "tolower"];
                joined!(self.random.pick(&functions), "(", self.text(d), ")")
            }
            5 => joined!("strstr(", self.text(d), ", ", self.text(0), ")"),
            6 => {
                let function = self.random.pick(&["strchr", "strrchr"]);
                joined!(function, "(", self.text(d), ", ", self.int(d), ")")
            }
            7 => joined!("lltostr(", self.int(d), ")"),
            8 => {
                let base = self.random.pick(&["2", "8", "10", "16", "36"]);
                joined!("lltostr(", self.int(d), ", ", base, ")")
            }
            _ => joined!(
                "(",
                self.int(d),
                " ? ",
                self.text(d),
                " : ",
                self.text(d),
                ")"
            ),
        }
    }
}
