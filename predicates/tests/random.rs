//! Random integer expressions: the constant folder and the kernel agree.

mod common;

use common::{In, Options, Out, Row, fold, n, root, run};
use dlang::diag::Span;
use dlang::program::{BinaryOp, Expr, ExprKind, LogicOp, Program, StmtKind, UnaryOp};
use dlang::types::{Int, Type};
use proptest::prelude::*;

const INTS: [Int; 8] = [
    Int::I8,
    Int::I16,
    Int::I32,
    Int::I64,
    Int::U8,
    Int::U16,
    Int::U32,
    Int::U64,
];

const OPS: [BinaryOp; 16] = [
    BinaryOp::Add,
    BinaryOp::Subtract,
    BinaryOp::Multiply,
    BinaryOp::Divide,
    BinaryOp::Remainder,
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Xor,
    BinaryOp::ShiftLeft,
    BinaryOp::ShiftRight,
    BinaryOp::Equal,
    BinaryOp::NotEqual,
    BinaryOp::Less,
    BinaryOp::LessEqual,
    BinaryOp::Greater,
    BinaryOp::GreaterEqual,
];

fn expr(kind: ExprKind, ty: Type) -> Expr {
    Expr {
        kind,
        ty,
        span: Span::default(),
    }
}

/// A cast; also one to the operand's own type, which cuts what an operator gave.
fn cast(of: Expr, int: Int) -> Expr {
    expr(ExprKind::Cast(Box::new(of)), Type::Int(int))
}

fn int_of(expr: &Expr) -> Int {
    expr.ty.as_int().expect("all are integers")
}

fn value() -> impl Strategy<Value = i64> {
    prop_oneof![
        -3i64..4,
        any::<i64>(),
        any::<i32>().prop_map(i64::from),
        Just(i64::MIN),
        Just(i64::from(i32::MIN)),
        Just(-1),
    ]
}

fn tree() -> impl Strategy<Value = Expr> {
    let int = prop::sample::select(&INTS[..]);
    let leaf = prop_oneof![
        3 => (0u8..4, int.clone()).prop_map(|(n, int)| cast(expr(ExprKind::Arg(n), Type::I64), int)),
        1 => (value(), int.clone())
            .prop_map(|(value, int)| expr(ExprKind::Int(int.wrap(value)), Type::Int(int))),
    ];
    leaf.prop_recursive(6, 24, 3, move |inner| {
        let op = prop::sample::select(&OPS[..]);
        let logic = prop::sample::select(vec![LogicOp::And, LogicOp::Or, LogicOp::Xor]);
        let unary = prop::sample::select(vec![UnaryOp::Negate, UnaryOp::Complement, UnaryOp::Not]);
        prop_oneof![
            4 => (op, inner.clone(), inner.clone()).prop_map(|(op, a, b)| {
                let ty = if matches!(op, BinaryOp::ShiftLeft | BinaryOp::ShiftRight) {
                    a.ty.clone()
                } else if OPS[10..].contains(&op) {
                    Type::INT
                } else {
                    Type::Int(Int::common(int_of(&a), int_of(&b)))
                };
                expr(ExprKind::Binary(op, Box::new(a), Box::new(b)), ty)
            }),
            1 => (logic, inner.clone(), inner.clone()).prop_map(|(op, a, b)| {
                expr(ExprKind::Logic(op, Box::new(a), Box::new(b)), Type::INT)
            }),
            1 => (unary, inner.clone()).prop_map(|(op, of)| {
                let ty = if op == UnaryOp::Not { Type::INT } else { of.ty.clone() };
                expr(ExprKind::Unary(op, Box::new(of)), ty)
            }),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(cond, a, b)| {
                let ty = Type::Int(Int::common(int_of(&a), int_of(&b)));
                expr(ExprKind::Ternary(Box::new(cond), Box::new(a), Box::new(b)), ty)
            }),
            2 => (inner, int.clone()).prop_map(|(of, int)| cast(of, int)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_folder_and_the_kernel_agree(
        rows in prop::collection::vec((tree(), prop::array::uniform4(value())), 40),
    ) {
        if root() {
            let rows: Vec<Row> = rows
                .into_iter()
                .map(|(expr, args)| Row {
                    body: vec![StmtKind::Expr(expr)],
                    args: args.map(n).to_vec(),
                })
                .collect();
            let outs = run(&Program::default(), &rows, Options::default());
            for (row, out) in rows.iter().zip(outs) {
                let folded = fold(row, 256);
                let args: &[In] = &row.args;
                prop_assert_eq!(Some(&out[0]), folded.as_ref(), "{:?} with {:?}", row.body, args);
                prop_assert_ne!(&out[0], &Out::Nothing);
            }
        }
    }
}
