//! libdtrace's error tags, one variant each.

/// The name of an error. Scripts rely on these names, which print with `-x errtags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// The text is not D.
    Syntax,
    /// The program has no clause and no declaration.
    Empty,
    /// Brackets or operators nest deeper than the compiler goes (rdtrace's own tag).
    Nesting,
    /// The construct is D, but rdtrace does not run it yet (rdtrace's own tag).
    Unsupported,
    /// A `#` line that is not a known directive.
    PragmaInval,
    /// A `#pragma` with missing or superfluous words.
    PragmaMalform,
    /// An `#error` line.
    PragErr,
    /// A macro argument or variable has no value.
    MacroUndef,
    /// A macro argument is given but never used.
    MacroUnused,
    /// A digit does not belong to the constant's base.
    IntDigit,
    /// A constant does not fit 64 bits.
    IntOflow,
    /// A character constant is empty.
    ChrNull,
    /// A character constant is longer than an `int`.
    ChrOflow,
    /// A character constant is not closed on its line.
    ChrNl,
    /// A string literal is not closed on its line.
    StrNl,
    /// A probe description has too many fields.
    PdescInval,
    /// A name is not known.
    IdentUndef,
    /// A name is known, but is not what is wanted here.
    IdentBadref,
    /// A function is not known.
    FuncUndef,
    /// A function is used like a variable.
    FuncIdent,
    /// A type is not known.
    Type,
    /// A function has too many or too few arguments.
    ProtoLen,
    /// An argument has the wrong type.
    ProtoArg,
    /// An operand must be an integer.
    OpInt,
    /// An operand must be an integer or pointer.
    OpScalar,
    /// An operand must be of arithmetic type.
    OpArith,
    /// The operands' types do not go together.
    OpIncompat,
    /// The left side cannot be assigned to.
    OpLval,
    /// An operand must be a pointer.
    OpPtr,
    /// An operand must be an array or pointer.
    OpArray,
    /// An operand must be a struct or union.
    OpSou,
    /// A pointer to an incomplete type cannot be followed.
    OpIncomplete,
    /// A function or action stands where a value is needed.
    OpVfptr,
    /// An action stands inside an expression.
    OpAct,
    /// A variable that may only be read is assigned to.
    OpWrite,
    /// A cast between types that do not convert.
    CastInval,
    /// The condition of `?:` or `if` is not a scalar.
    CondScalar,
    /// The branches of `?:` have types that do not go together.
    CondIncompat,
    /// The predicate is not a scalar.
    PredScalar,
    /// A struct or union has no such member.
    MemNonexist,
    /// The operand of `offsetof` is not a struct or union.
    OffsetofType,
    /// The member of `offsetof` is a bit-field.
    OffsetofBitfield,
    /// The operand of `sizeof` has no size.
    SizeofType,
    /// The members of `xlate` do not exist.
    XlateNone,
    /// A key does not match an array's earlier use.
    KeyType,
    /// An array index does not match the array's kind.
    ArrBadref,
    /// An array has a bad size or element type.
    DeclArray,
    /// A name is declared twice in different ways.
    DeclIdred,
    /// The specifiers of a declaration do not go together.
    DeclCombo,
    /// A storage class does not fit the place.
    DeclClass,
    /// A scope's name is declared in a wrong place.
    DeclScope,
    /// A struct, union or enum is incomplete here.
    DeclIncomplete,
    /// A bit-field's width or type is wrong.
    DeclBfsize,
    /// An enumerator's value is not a constant.
    DeclEnconst,
    /// A declared name is reserved for a built-in.
    DeclParmclass,
    /// Void is used as a variable's type.
    DeclVoidobj,
    /// A parameter's name is missing or repeated.
    DeclParmname,
    /// An aggregation is used with another function or parameters.
    AggRedef,
    /// An aggregation is assigned something that is not an aggregating function.
    AggFunc,
    /// An argument that must be an aggregation is not one.
    AggScalar,
    /// The argument of an aggregating function has the wrong type.
    AggMdim,
    /// An aggregation is used that is never assigned.
    AggUndef,
    /// An aggregation is used where a value is needed.
    AggNull,
    /// A key of an aggregation does not match an earlier use.
    AggKey,
    /// The first argument of `quantize` is not right.
    QuantProto,
    /// `lquantize`'s base is not an integer constant.
    LquantBasetype,
    /// `lquantize`'s base is too large.
    LquantBaseval,
    /// `lquantize`'s limit is not an integer constant.
    LquantLimtype,
    /// `lquantize`'s limit is too large.
    LquantLimval,
    /// `lquantize`'s base is not below its limit.
    LquantMismatch,
    /// `lquantize`'s step is not an integer constant.
    LquantSteptype,
    /// `lquantize`'s step is too large or zero.
    LquantStepval,
    /// `lquantize`'s step is larger than its range.
    LquantStepsmall,
    /// `lquantize` gives more buckets than can be.
    LquantSteplarge,
    /// `llquantize`'s factor is not an integer constant.
    LlquantFactortype,
    /// `llquantize`'s factor is out of range.
    LlquantFactorval,
    /// `llquantize`'s low magnitude is not an integer constant.
    LlquantLowtype,
    /// `llquantize`'s low magnitude is out of range.
    LlquantLowval,
    /// `llquantize`'s high magnitude is not an integer constant.
    LlquantHightype,
    /// `llquantize`'s high magnitude is out of range.
    LlquantHighval,
    /// `llquantize`'s number of steps is not an integer constant.
    LlquantNsteptype,
    /// `llquantize`'s number of steps is out of range.
    LlquantNstepval,
    /// `llquantize`'s magnitudes are in the wrong order.
    LlquantMagrange,
    /// `llquantize`'s factor does not divide its steps, or is larger.
    LlquantFactorsteps,
    /// `llquantize` gives more values than fit 64 bits.
    LlquantMagtoobig,
    /// `clear` has no aggregation.
    ClearAggarg,
    /// `clear`'s argument is not an aggregation.
    ClearProto,
    /// `trunc` has the wrong arguments.
    TruncProto,
    /// `trunc`'s first argument is not an aggregation.
    TruncAggarg,
    /// `trunc`'s second argument is not a number.
    TruncScalar,
    /// `normalize` has the wrong arguments.
    NormalizeProto,
    /// `normalize`'s first argument is not an aggregation.
    NormalizeAggarg,
    /// `normalize`'s second argument is not a number.
    NormalizeScalar,
    /// `trace` of something that cannot be recorded.
    TraceDyn,
    /// `trace` of nothing.
    TraceVoid,
    /// A format is not a string literal.
    PrintfArgFmt,
    /// A format has a conversion that does not exist.
    PrintfFmt,
    /// A format has more conversions than arguments.
    PrintfArgProto,
    /// A format and an argument do not match.
    PrintfArgType,
    /// A `*` width or precision is not an integer.
    PrintfDynType,
    /// A format is a null string or the first argument is missing.
    PrintfArgEmpty,
    /// `printf` in a place where it cannot be.
    PrintfDynProto,
    /// `printa`'s arguments are not aggregations.
    PrintaAggarg,
    /// `printa` has no aggregation.
    PrintaProto,
    /// `printa`'s aggregations have different keys.
    PrintaAggkey,
    /// The index of `args[]` is not known.
    ArgsIdx,
    /// The index of `args[]` is not a constant, or the probe has no typed arguments.
    ArgsNone,
    /// The types of `args[]` differ between the probes of a clause.
    ArgsMulti,
    /// An inline refers to itself or takes other arguments.
    InlineProto,
    /// An action needs `-w`.
    Destructive,
}

impl Tag {
    /// The tag as libdtrace spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "D_SYNTAX",
            Self::Empty => "D_EMPTY",
            Self::Nesting => "D_NESTING",
            Self::Unsupported => "D_UNSUPPORTED",
            Self::PragmaInval => "D_PRAGMA_INVAL",
            Self::PragmaMalform => "D_PRAGMA_MALFORM",
            Self::PragErr => "D_PRAGERR",
            Self::MacroUndef => "D_MACRO_UNDEF",
            Self::MacroUnused => "D_MACRO_UNUSED",
            Self::IntDigit => "D_INT_DIGIT",
            Self::IntOflow => "D_INT_OFLOW",
            Self::ChrNull => "D_CHR_NULL",
            Self::ChrOflow => "D_CHR_OFLOW",
            Self::ChrNl => "D_CHR_NEWLINE",
            Self::StrNl => "D_STR_NEWLINE",
            Self::PdescInval => "D_PDESC_INVAL",
            Self::IdentUndef => "D_IDENT_UNDEF",
            Self::IdentBadref => "D_IDENT_BADREF",
            Self::FuncUndef => "D_FUNC_UNDEF",
            Self::FuncIdent => "D_FUNC_IDENT",
            Self::Type => "D_TYPE_ERR",
            Self::ProtoLen => "D_PROTO_LEN",
            Self::ProtoArg => "D_PROTO_ARG",
            Self::OpInt => "D_OP_INT",
            Self::OpScalar => "D_OP_SCALAR",
            Self::OpArith => "D_OP_ARITH",
            Self::OpIncompat => "D_OP_INCOMPAT",
            Self::OpLval => "D_OP_LVAL",
            Self::OpPtr => "D_OP_PTR",
            Self::OpArray => "D_OP_ARRAY",
            Self::OpSou => "D_OP_SOU",
            Self::OpIncomplete => "D_OP_INCOMPLETE",
            Self::OpVfptr => "D_OP_VFPTR",
            Self::OpAct => "D_OP_ACT",
            Self::OpWrite => "D_OP_WRITE",
            Self::CastInval => "D_CAST_INVAL",
            Self::CondScalar => "D_COND_SCALAR",
            Self::CondIncompat => "D_COND_INCOMPAT",
            Self::PredScalar => "D_PRED_SCALAR",
            Self::MemNonexist => "D_MEM_NONEXIST",
            Self::OffsetofType => "D_OFFSETOF_TYPE",
            Self::OffsetofBitfield => "D_OFFSETOF_BITFIELD",
            Self::SizeofType => "D_SIZEOF_TYPE",
            Self::XlateNone => "D_XLATE_NONE",
            Self::KeyType => "D_KEY_TYPE",
            Self::ArrBadref => "D_ARR_BADREF",
            Self::DeclArray => "D_DECL_ARRAY",
            Self::DeclIdred => "D_DECL_IDRED",
            Self::DeclCombo => "D_DECL_COMBO",
            Self::DeclClass => "D_DECL_CLASS",
            Self::DeclScope => "D_DECL_SCOPE",
            Self::DeclIncomplete => "D_DECL_INCOMPLETE",
            Self::DeclBfsize => "D_DECL_BFSIZE",
            Self::DeclEnconst => "D_DECL_ENCONST",
            Self::DeclParmclass => "D_DECL_PARMCLASS",
            Self::DeclVoidobj => "D_DECL_VOIDOBJ",
            Self::DeclParmname => "D_DECL_PARMNAME",
            Self::AggRedef => "D_AGG_REDEF",
            Self::AggFunc => "D_AGG_FUNC",
            Self::AggScalar => "D_AGG_SCALAR",
            Self::AggMdim => "D_AGG_MDIM",
            Self::AggUndef => "D_AGG_UNDEF",
            Self::AggNull => "D_AGG_NULL",
            Self::AggKey => "D_AGG_KEY",
            Self::QuantProto => "D_QUANT_PROTO",
            Self::LquantBasetype => "D_LQUANT_BASETYPE",
            Self::LquantBaseval => "D_LQUANT_BASEVAL",
            Self::LquantLimtype => "D_LQUANT_LIMTYPE",
            Self::LquantLimval => "D_LQUANT_LIMVAL",
            Self::LquantMismatch => "D_LQUANT_MISMATCH",
            Self::LquantSteptype => "D_LQUANT_STEPTYPE",
            Self::LquantStepval => "D_LQUANT_STEPVAL",
            Self::LquantStepsmall => "D_LQUANT_STEPSMALL",
            Self::LquantSteplarge => "D_LQUANT_STEPLARGE",
            Self::LlquantFactortype => "D_LLQUANT_FACTORTYPE",
            Self::LlquantFactorval => "D_LLQUANT_FACTORVAL",
            Self::LlquantLowtype => "D_LLQUANT_LOWTYPE",
            Self::LlquantLowval => "D_LLQUANT_LOWVAL",
            Self::LlquantHightype => "D_LLQUANT_HIGHTYPE",
            Self::LlquantHighval => "D_LLQUANT_HIGHVAL",
            Self::LlquantNsteptype => "D_LLQUANT_NSTEPTYPE",
            Self::LlquantNstepval => "D_LLQUANT_NSTEPVAL",
            Self::LlquantMagrange => "D_LLQUANT_MAGRANGE",
            Self::LlquantFactorsteps => "D_LLQUANT_FACTORSTEPS",
            Self::LlquantMagtoobig => "D_LLQUANT_MAGTOOBIG",
            Self::ClearAggarg => "D_CLEAR_AGGARG",
            Self::ClearProto => "D_CLEAR_PROTO",
            Self::TruncProto => "D_TRUNC_PROTO",
            Self::TruncAggarg => "D_TRUNC_AGGARG",
            Self::TruncScalar => "D_TRUNC_SCALAR",
            Self::NormalizeProto => "D_NORMALIZE_PROTO",
            Self::NormalizeAggarg => "D_NORMALIZE_AGGARG",
            Self::NormalizeScalar => "D_NORMALIZE_SCALAR",
            Self::TraceDyn => "D_TRACE_DYN",
            Self::TraceVoid => "D_TRACE_VOID",
            Self::PrintfArgFmt => "D_PRINTF_ARG_FMT",
            Self::PrintfFmt => "D_PRINTF_FMT",
            Self::PrintfArgProto => "D_PRINTF_ARG_PROTO",
            Self::PrintfArgType => "D_PRINTF_ARG_TYPE",
            Self::PrintfDynType => "D_PRINTF_DYN_TYPE",
            Self::PrintfArgEmpty => "D_PRINTF_ARG_EMPTY",
            Self::PrintfDynProto => "D_PRINTF_DYN_PROTO",
            Self::PrintaAggarg => "D_PRINTA_AGGARG",
            Self::PrintaProto => "D_PRINTA_PROTO",
            Self::PrintaAggkey => "D_PRINTA_AGGKEY",
            Self::ArgsIdx => "D_ARGS_IDX",
            Self::ArgsNone => "D_ARGS_NONE",
            Self::ArgsMulti => "D_ARGS_MULTI",
            Self::InlineProto => "D_INLINE_PROTO",
            Self::Destructive => "D_DESTRUCTIVE",
        }
    }
}
