//! Random D programs, the same for the same seed: everything that the language has, nested in each
//! other, bounded in size. They are correct D; that is all that is known of them.

use std::fmt::Write as _;

use dlang::names::{Kind, Prototype, TABLE, Takes, ValueType};

use crate::numbers::Random;

const INTS: [&str; 12] = [
    "char", "short", "int", "long", "int8_t", "int16_t", "int64_t", "uint8_t", "uint16_t",
    "uint32_t", "uint64_t", "size_t",
];
const LITERALS: [&str; 16] = [
    "0",
    "1",
    "2",
    "-1",
    "3",
    "7",
    "10",
    "63",
    "64",
    "100",
    "255",
    "4096",
    "0777",
    "2147483648",
    "0x7fffffffffffffff",
    "'a'",
];
const TEXTS: [&str; 10] = [
    "\"\"",
    "\"a\"",
    "\"/\"",
    "\"//\"",
    "\"/usr/lib/x\"",
    "\"abc\"",
    "\"hello world\"",
    "\"%d%s\"",
    "\"\\n\\t\"",
    "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"",
];
const BINARY: [&str; 10] = ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"];
const COMPARE: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
const ASSIGN: [&str; 11] = [
    "=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=",
];
const PROBES: [&str; 8] = [
    "BEGIN",
    "BEGIN",
    "END",
    "ERROR",
    "profile:::tick-1s",
    "app1:::hit",
    "app1:::hit",
    "app1:::other",
];

/// A struct with bit-fields and an array, and variables of it in every scope, by which and through whose
/// addresses its members are reached.
const STRUCTS: &str =
    "struct v { int x; char c; unsigned b : 3; int d : 11; long a[4]; char t[12]; };
struct v v; self struct v v; this struct v v; struct v m[int];
";
const STRUCT_VARIABLES: [&str; 4] = ["v", "self->v", "this->v", "m[1]"];
const MEMBERS: [&str; 6] = ["x", "c", "b", "d", "a[1]", "a[3]"];

/// A variable's name, with its scope's prefix, and the types of its key if it is an array.
struct Variable {
    name: String,
    key: Option<Vec<bool>>,
}

/// A program while it is written. In keys `true` is a string.
struct Writer {
    random: Random,
    ints: Vec<Variable>,
    texts: Vec<Variable>,
    aggregations: Vec<(String, &'static str, Vec<bool>)>,
}

/// The program of a seed. `size` bounds its clauses, statements and the depth of expressions.
pub(crate) fn program(seed: u64, size: usize) -> String {
    let mut writer = Writer {
        random: Random(seed),
        ints: Vec::new(),
        texts: Vec::new(),
        aggregations: Vec::new(),
    };
    let mut text = writer.declarations();
    for _ in 0..=writer.random.below(size + 1) {
        text += &writer.clause(size);
    }
    text
}

impl Writer {
    fn declarations(&mut self) -> String {
        let mut text = String::from(STRUCTS);
        for (prefix, declared, arrays) in [
            ("", "", true),
            ("self->", "self ", true),
            ("this->", "this ", false),
        ] {
            for n in 0..=self.random.below(3) {
                let ty = self.random.pick(&INTS);
                let name = format!("i{n}");
                writeln!(text, "{declared}{ty} {name};").unwrap();
                self.ints.push(Variable {
                    name: format!("{prefix}{name}"),
                    key: None,
                });
            }
            for n in 0..=self.random.below(2) {
                let name = format!("s{n}");
                writeln!(text, "{declared}string {name};").unwrap();
                self.texts.push(Variable {
                    name: format!("{prefix}{name}"),
                    key: None,
                });
            }
            for n in 0..if arrays { self.random.below(3) } else { 0 } {
                let key = self.key();
                let types: Vec<&str> = key
                    .iter()
                    .map(|text| if *text { "string" } else { "int64_t" })
                    .collect();
                let is_text = self.random.one_in(2);
                let ty = if is_text {
                    "string"
                } else {
                    self.random.pick(&INTS)
                };
                let name = format!("a{n}");
                writeln!(text, "{declared}{ty} {name}[{}];", types.join(", ")).unwrap();
                let list = if is_text {
                    &mut self.texts
                } else {
                    &mut self.ints
                };
                list.push(Variable {
                    name: format!("{prefix}{name}"),
                    key: Some(key),
                });
            }
        }
        for n in 0..self.random.below(4) {
            let func = self.random.pick(&[
                "count",
                "sum",
                "avg",
                "min",
                "max",
                "stddev",
                "quantize",
                "lquantize",
                "llquantize",
            ]);
            let key = if self.random.one_in(3) {
                Vec::new()
            } else {
                self.key()
            };
            self.aggregations.push((format!("@g{n}"), func, key));
        }
        text
    }

    fn key(&mut self) -> Vec<bool> {
        (0..=self.random.below(3))
            .map(|_| self.random.one_in(2))
            .collect()
    }

    fn clause(&mut self, size: usize) -> String {
        let probe = self.random.pick(&PROBES);
        let predicate = if self.random.one_in(2) {
            format!(" / {} /", self.int(size))
        } else {
            String::new()
        };
        if self.random.one_in(8) {
            return self.speculative_clause(&format!("{probe}{predicate}"), size);
        }
        format!("{probe}{predicate}\n{{\n{}}}\n", self.body(size))
    }

    /// A clause that speculates, or ends a speculation: neither may do everything that others do.
    fn speculative_clause(&mut self, head: &str, size: usize) -> String {
        let id = self.int(size / 2);
        let body = match self.random.below(4) {
            0 => format!("{} = speculation();", self.variable(false, 0)),
            1 => format!("commit({id});"),
            2 => format!("discard({id});"),
            _ => {
                let (number, text) = (self.int(size), self.text(size));
                format!("speculate({id}); trace({number}); trace({text});")
            }
        };
        format!("{head}\n{{\n{body}\n}}\n")
    }

    /// A member of a struct variable: by its name, through its address, or one that an index chooses.
    fn member(&mut self, depth: usize) -> String {
        let variable = self.random.pick(&STRUCT_VARIABLES);
        let member = self.random.pick(&MEMBERS);
        match self.random.below(4) {
            // Members of elements have no address, nor have bit-fields.
            0 if variable != "m[1]" && !["b", "d"].contains(&member) => {
                format!("(*(&{variable}.{member}))")
            }
            1 => format!("{variable}.a[({}) & 3]", self.int(depth / 2)),
            2 => format!("m[{}].{member}", self.int(depth / 2)),
            _ => format!("{variable}.{member}"),
        }
    }

    fn body(&mut self, size: usize) -> String {
        (0..self.random.below(size + 2))
            .map(|_| self.statement(size))
            .collect()
    }

    fn statement(&mut self, size: usize) -> String {
        let depth = size;
        match self.random.below(14) {
            12 => {
                let (to, from) = (
                    self.random.pick(&STRUCT_VARIABLES),
                    self.random.pick(&STRUCT_VARIABLES),
                );
                format!("{to} = {from};\n")
            }
            13 => format!("{} = {};\n", self.member(depth), self.int(depth)),
            0 | 1 => format!("{};\n", self.assign_int(depth)),
            2 | 3 => format!("{};\n", self.assign_text(depth)),
            4 => format!("{};\n", self.int(depth)),
            5 if size > 1 => {
                let cond = self.int(depth);
                let (then, other) = (self.body(size / 2), self.body(size / 2));
                format!("if ({cond}) {{\n{then}}} else {{\n{other}}}\n")
            }
            6 => format!("trace({});\n", self.int(depth)),
            7 => format!("trace({});\n", self.text(depth)),
            8 | 9 => {
                let (number, text) = (self.int(depth), self.text(depth));
                format!("printf(\"%d %s\\n\", {number}, {text});\n")
            }
            _ => self.aggregate(depth),
        }
    }

    fn aggregate(&mut self, depth: usize) -> String {
        if self.aggregations.is_empty() {
            return String::new();
        }
        let which = self.random.below(self.aggregations.len());
        let (name, func, key) = &self.aggregations[which];
        let (name, func, key) = (name.clone(), *func, key.clone());
        let index = if key.is_empty() {
            String::new()
        } else {
            self.index(&key, depth)
        };
        let value = match func {
            "count" => String::new(),
            "lquantize" => format!("{}, 0, 100, 10", self.int(depth)),
            "llquantize" => format!("{}, 10, 0, 3, 10", self.int(depth)),
            _ => self.int(depth),
        };
        format!("{name}{index} = {func}({value});\n")
    }

    fn index(&mut self, key: &[bool], depth: usize) -> String {
        let members: Vec<String> = key
            .iter()
            .map(|&text| {
                if text {
                    self.text(depth / 2)
                } else {
                    self.int(depth / 2)
                }
            })
            .collect();
        format!("[{}]", members.join(", "))
    }

    fn variable(&mut self, text: bool, depth: usize) -> String {
        let count = if text {
            self.texts.len()
        } else {
            self.ints.len()
        };
        let which = self.random.below(count);
        let list = if text { &self.texts } else { &self.ints };
        let (name, key) = (list[which].name.clone(), list[which].key.clone());
        match key {
            Some(key) => name + &self.index(&key, depth),
            None => name,
        }
    }

    fn assign_int(&mut self, depth: usize) -> String {
        let op = if self.random.one_in(2) {
            "="
        } else {
            self.random.pick(&ASSIGN)
        };
        let target = self.variable(false, depth);
        format!("{target} {op} {}", self.int(depth.saturating_sub(1)))
    }

    fn assign_text(&mut self, depth: usize) -> String {
        let target = self.variable(true, depth);
        format!("{target} = {}", self.text(depth.saturating_sub(1)))
    }

    fn int(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.one_in(6) {
            return match self.random.below(4) {
                0 => self.random.pick(&LITERALS).into(),
                1 => self.variable(false, 0),
                2 => format!("arg{}", self.random.below(10)),
                _ => self.random.pick(&variables(false)).into(),
            };
        }
        let d = depth - 1;
        match self.random.below(19) {
            17 => self.member(d),
            18 => format!("({} = {})", self.member(d), self.int(d)),
            0..=3 => {
                let (a, op, b) = (self.int(d), self.random.pick(&BINARY), self.int(d));
                format!("({a} {op} {b})")
            }
            4 | 5 => {
                let (a, op, b) = (self.int(d), self.random.pick(&COMPARE), self.int(d));
                format!("({a} {op} {b})")
            }
            6 => {
                let (a, op, b) = (
                    self.int(d),
                    self.random.pick(&["&&", "||", "^^"]),
                    self.int(d),
                );
                format!("({a} {op} {b})")
            }
            7 => format!(
                "{}({})",
                self.random.pick(&["!", "~", "-", "+"]),
                self.int(d)
            ),
            8 => format!("({} ? {} : {})", self.int(d), self.int(d), self.int(d)),
            9 => format!("({})({})", self.random.pick(&INTS), self.int(d)),
            10 => format!("({})", self.assign_int(d)),
            11 => {
                let step = self.random.pick(&["++", "--"]);
                let variable = self.variable(false, d / 2);
                if self.random.one_in(2) {
                    format!("{step}{variable}")
                } else {
                    format!("{variable}{step}")
                }
            }
            12 | 13 => self.call(false, d),
            14 => {
                let (a, op, b) = (self.text(d), self.random.pick(&COMPARE), self.text(d));
                format!("({a} {op} {b})")
            }
            15 => format!("({}, {})", self.int(d), self.int(d)),
            _ => self.variable(false, d),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.one_in(6) {
            return match self.random.below(4) {
                0 => self.random.pick(&TEXTS).into(),
                1 => self.random.pick(&variables(true)).into(),
                2 => format!("copyinstr(arg{})", self.random.below(4)),
                _ => self.variable(true, 0),
            };
        }
        let d = depth - 1;
        match self.random.below(14) {
            13 => format!("stringof({}.t)", self.random.pick(&STRUCT_VARIABLES)),
            0..=8 => self.call(true, d),
            9 => format!("({} ? {} : {})", self.int(d), self.text(d), self.text(d)),
            10 => format!("({})", self.assign_text(d)),
            11 => format!("stringof(copyin({}, 16))", self.int(d)),
            _ => self.variable(true, d),
        }
    }

    /// A call of one of D's subroutines that gives a string, or a number.
    fn call(&mut self, text: bool, depth: usize) -> String {
        let known: Vec<(&str, &Prototype)> = TABLE
            .iter()
            .filter_map(|row| {
                let Kind::Subroutine(prototype, Ok(_)) = &row.kind else {
                    return None;
                };
                // json() is computed by the consumer only; Python's objects are in Python's probes only.
                let elsewhere = row.name == "json" || row.name.starts_with("py");
                (!elsewhere).then_some((row.name, prototype))
            })
            .filter(|(_, prototype)| match prototype.result {
                ValueType::String => text,
                ValueType::Int(_) | ValueType::Scratch => !text,
                ValueType::Kernel(_)
                | ValueType::Void
                | ValueType::Stack
                | ValueType::PythonObject
                | ValueType::Other => false,
            })
            .collect();
        let (name, prototype) = known[self.random.below(known.len())];
        let least = prototype.least();
        let given = least + self.random.below(prototype.parameters.len() - least + 1);
        let to_memory = prototype.result == ValueType::Scratch;
        let arguments: Vec<String> = prototype.parameters[..given]
            .iter()
            .map(|parameter| match parameter.takes {
                Takes::Str | Takes::StrOrNull => self.text(depth),
                // What is read from memory has eight bytes at most.
                Takes::Number(_) if to_memory => "8".into(),
                Takes::Number(_) | Takes::Address | Takes::Any | Takes::More => self.int(depth),
                Takes::Memory => format!("(void *){}", self.int(depth)),
                Takes::Scratch => "alloca(8)".into(),
                Takes::Constant(from, to) => {
                    let span = usize::try_from(to - from + 1).unwrap();
                    let at = i64::try_from(self.random.below(span)).unwrap();
                    (from + at).to_string()
                }
            })
            .collect();
        let call = format!("{name}({})", arguments.join(", "));
        if to_memory {
            let ty = self.random.pick(&INTS);
            return format!("*({ty} *){call}");
        }
        call
    }
}

/// The variables that every firing has, strings or integers.
fn variables(text: bool) -> Vec<&'static str> {
    TABLE
        .iter()
        .filter(|row| {
            let Kind::Variable(ty, Ok(_)) = row.kind else {
                return false;
            };
            // The walk to Python's frame stands in the code at each use. Where several are on ways that meet, the
            // verifier follows it for each: no program of people's is like that (main.rs has some that are).
            if row.name.starts_with("py") {
                return false;
            }
            if text {
                ty == ValueType::String
            } else {
                matches!(ty, ValueType::Int(_))
            }
        })
        .map(|row| row.name)
        .collect()
}
