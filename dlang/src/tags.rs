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
    PragctlInval,
    /// A `#pragma D` of an unknown kind, or with a word that it does not take.
    PragmaInval,
    /// A `#pragma` with missing or superfluous words.
    PragmaMalform,
    /// A `#pragma D option` that cannot be set (given by the command, which knows the options).
    PragmaOptset,
    /// An `#error` line.
    PragErr,
    /// The attributes of a clause are less than is asked for (given by the command, which knows them).
    AttrMin,
    /// A macro argument or variable has no value.
    MacroUndef,
    /// A macro argument is given but never used.
    MacroUnused,
    /// A macro argument is a number that does not fit 64 bits.
    MacroOflow,
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
    /// An operand must be a struct or union.
    OpSou,
    /// A struct that is not defined is looked into.
    OpIncomplete,
    /// An action stands where a value is needed.
    OpAct,
    /// A variable that may only be read is assigned to.
    OpWrite,
    /// A cast between types that do not convert.
    CastInval,
    /// The predicate is not a scalar.
    PredScalar,
    /// The operand of `offsetof` is not a struct or union.
    OffsetofType,
    /// The member of `offsetof` is a bit-field.
    OffsetofBitfield,
    /// The operand of `sizeof` has no size.
    SizeofType,
    /// A key does not match an array's earlier use.
    KeyType,
    /// An array in memory is indexed by a tuple.
    ArrBadref,
    /// A constant index is outside of its array.
    ArrBounds,
    /// A clause-local variable used as an associative array.
    ArrLocal,
    /// An array is assigned as a whole.
    OpArrfun,
    /// A name is declared twice in different ways.
    DeclIdred,
    /// The specifiers of a declaration do not go together.
    DeclCombo,
    /// Two storage classes in one declaration.
    DeclClass,
    /// An array is declared without its size.
    DeclArrnull,
    /// `void` stands beside other parameters.
    DeclProtoVoid,
    /// Two parameters have one name, or one is not declared.
    DeclProtoForm,
    /// A storage class that D does not have.
    DeclBadclass,
    /// A struct, union or enum is incomplete here.
    DeclIncomplete,
    /// A bit-field's width or type is wrong.
    DeclBfsize,
    /// An enumerator's value is not a constant.
    DeclEnconst,
    /// Void is used as a variable's type.
    DeclVoidobj,
    /// An aggregation is used with another function or parameters.
    AggRedef,
    /// An aggregation is assigned something that is not an aggregating function.
    AggFunc,
    /// An argument that must be an aggregation is not one.
    AggScalar,
    /// An aggregation or aggregating function stands where a value is needed.
    AggNull,
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
    /// `clear` has no aggregation.
    ClearAggarg,
    /// `trunc`'s first argument is not an aggregation.
    TruncAggarg,
    /// `normalize`'s first argument is not an aggregation.
    NormalizeAggarg,
    /// `trace` of something that cannot be recorded.
    TraceDyn,
    /// `trace` of nothing.
    TraceVoid,
    /// A format is not a string literal.
    PrintfArgFmt,
    /// A format has more conversions than arguments.
    PrintfArgProto,
    /// A format and an argument do not match.
    PrintfArgType,
    /// A `*` width or precision is not an integer.
    PrintfDynType,
    /// A `*` width or precision has no argument.
    PrintfDynProto,
    /// `printa`'s arguments are not aggregations.
    PrintaAggarg,
    /// `printa` has no aggregation.
    PrintaProto,
    /// `printa`'s aggregations have different keys.
    PrintaAggkey,
    /// Aggregations of one `printa` whose keys have different types.
    PrintaAggproto,
    /// The index of `args[]` is not known.
    ArgsIdx,
    /// A probe has other types of `args[]` than its clause was compiled for.
    ArgsMulti,
    /// `args[]` stands outside of a clause.
    ArgsNone,
    /// An aggregation stands in an expression, where only a statement may change it, or behind `commit()`.
    AggComm,
    /// `tracemem`'s address is no pointer or integer.
    TracememAddr,
    /// A function is dereferenced.
    DerefFunc,
    /// A member that is an associative array.
    DeclDynobj,
    /// `print` cannot show a value of this type.
    PrintSize,
    /// `tracemem`'s size is not a positive constant.
    TracememSize,
    /// `stack`'s number of frames is not a positive constant.
    StackSize,
    /// `ustack`'s number of frames is not a positive constant.
    UstackFrames,
    /// `ustack`'s size of strings is not a constant that is positive or 0.
    UstackStrsize,
    /// An aggregation behind `speculate()`.
    AggSpec,
    /// A second `commit()` in a clause.
    CommComm,
    /// `commit()` behind an action that records data.
    CommDrec,
    /// An action that records data behind `commit()`.
    DrecComm,
    /// `exit()` behind `speculate()`.
    ExitSpec,
    /// A destructive action behind `speculate()`.
    ActSpec,
    /// `return()` on a probe that is not in a function of the kernel.
    ActReturn,
    /// `speculate()` behind `commit()`.
    SpecComm,
    /// `speculate()` behind an action that records data.
    SpecDrec,
    /// A second `speculate()` in a clause.
    SpecSpec,
    /// A constant expression divides by zero.
    DivZero,
    /// A clause-local associative array.
    DeclLocassc,
    /// An array or struct is too large.
    DeclArrbig,
    /// An array size is not a constant.
    DeclArrsub,
    /// A bit-field width is not a constant.
    DeclBfconst,
    /// A struct or union is defined twice.
    DeclTypered,
    /// The index of `args[]` is not a constant.
    ArgsType,
    /// A thread-local or clause-local variable has not been assigned.
    VarUndef,
    /// A type does not convert to a string.
    StringofType,
    /// A struct or union has no such member.
    TypeMember,
    /// What is followed is not a pointer.
    DerefNonptr,
    /// A pointer to `void` is followed.
    DerefVoid,
    /// The address of a bit-field is taken.
    AddrofBitfield,
    /// The address of a D variable is taken.
    AddrofVar,
    /// The address of a value is taken.
    AddrofLval,
    /// A variable is called like a function.
    FuncIdkind,
    /// What is called is no name.
    FuncIdent,
    /// `%@` outside of `printa`.
    PrintfAggConv,
    /// A format has fewer conversions than arguments.
    PrintfArgExtra,
    /// A format is the empty string.
    PrintfFmtEmpty,
    /// `lquantize`'s base differs from an earlier use.
    LquantMatchbase,
    /// `lquantize`'s limit differs from an earlier use.
    LquantMatchlim,
    /// `lquantize`'s step differs from an earlier use.
    LquantMatchstep,
    /// `llquantize`'s factor differs from an earlier use.
    LlquantMatchfactor,
    /// `llquantize`'s low magnitude differs from an earlier use.
    LlquantMatchlmag,
    /// `llquantize`'s high magnitude differs from an earlier use.
    LlquantMatchhmag,
    /// `llquantize`'s steps differ from an earlier use.
    LlquantMatchsteps,
    /// `llquantize`'s low magnitude is not an integer constant.
    LlquantLmagtype,
    /// `llquantize`'s low magnitude is out of range.
    LlquantLmagval,
    /// `llquantize`'s high magnitude is not an integer constant.
    LlquantHmagtype,
    /// `llquantize`'s high magnitude is out of range.
    LlquantHmagval,
    /// `llquantize`'s number of steps is not an integer constant.
    LlquantSteptype,
    /// `llquantize`'s number of steps is out of range or does not go with its factor.
    LlquantStepval,
    /// A probe description matches no probe (given by the command).
    PdescZero,
    /// A probe description names no process (given by the command).
    ProcBadpid,
    /// A probe description names a process that there is not (given by the command).
    ProcGrab,
    /// A probe description names a function that a module of a process has not (given by the command).
    ProcFunc,
    /// A probe description names a module in which no instruction has a probe by address (given by the command).
    ProcLib,
    /// A probe of a function is no entry, return or offset (given by the command).
    ProcName,
    /// A probe of a function is behind its end (given by the command).
    ProcOff,
    /// An enumerator's value is outside of an `int`.
    DeclEnoflow,
    /// A bit-field is of no integer type.
    DeclBftype,
    /// A parameter has a storage class.
    DeclParmclass,
    /// `short` or `long` with `char`.
    DeclCharattr,
    /// `signed` or `unsigned` with a type that is no integer.
    DeclSignint,
    /// `short` or `long` with a type that has no such sizes.
    DeclLongint,
    /// What libdtrace has no tag for: a member that is defined twice, type words without a type.
    Unknown,
    /// `#pragma D attributes` or the like of a name that is built in.
    PragmaScope,
    /// What `#pragma D depends_on` names is not there.
    PragmaDepend,
    /// `#pragma D attributes` or the like of a name that the program does not define.
    PragmaUnused,
    /// Two translators from one type to another.
    XlateRedecl,
    /// A translator's output is not a struct or union that is known.
    XlateSou,
    /// A translator defines a member that its output does not have.
    XlateMemb,
    /// A translator's member has another type than its expression.
    XlateIncompat,
    /// No translator leads from a value to a type.
    XlateNone,
    /// A translator does not define the member that is used.
    XlateNoconv,
    /// The name of a declared provider or probe is too long, or ends with a digit.
    ProvBadname,
    /// A provider declares a probe twice.
    ProvPrdup,
    /// A provider is declared again, and otherwise.
    ProvIncompat,
    /// A declared probe's argument cannot become what the output prototype says.
    ProvPrxlator,
    /// A parameter has no name, or `void` has one.
    DeclProtoName,
    /// `...` where the number of parameters is fixed.
    DeclProtoVarargs,
    /// `sizeof` of a bit-field.
    SizeofBitfield,
    /// `@a[1][2]`.
    AggMdim,
    /// A function that gives no value is called as a statement, and is no action.
    CgExpr,
    /// `void` with `signed`, `long` and the like.
    DeclVoidattr,
    /// A declaration declares nothing.
    DeclUseless,
    /// A parameter or key of a type that it cannot have.
    DeclProtoType,
    /// An operand of `?:` is an aggregation.
    OpDyn,
    /// A conditional pointer leads to memory of ours or not, and is assigned.
    AllocaIncompat,
    /// `alloca` of more than `scratchsize`.
    AllocaSize,
    /// An operator changes what has no size that it could go by.
    OpVfptr,
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
            Self::PragctlInval => "D_PRAGCTL_INVAL",
            Self::PragmaInval => "D_PRAGMA_INVAL",
            Self::PragmaMalform => "D_PRAGMA_MALFORM",
            Self::PragmaOptset => "D_PRAGMA_OPTSET",
            Self::PragErr => "D_PRAGERR",
            Self::AttrMin => "D_ATTR_MIN",
            Self::MacroUndef => "D_MACRO_UNDEF",
            Self::MacroUnused => "D_MACRO_UNUSED",
            Self::MacroOflow => "D_MACRO_OFLOW",
            Self::IntDigit => "D_INT_DIGIT",
            Self::IntOflow => "D_INT_OFLOW",
            Self::ChrNull => "D_CHR_NULL",
            Self::ChrOflow => "D_CHR_OFLOW",
            Self::ChrNl => "D_CHR_NL",
            Self::StrNl => "D_STR_NL",
            Self::PdescInval => "D_PDESC_INVAL",
            Self::IdentUndef => "D_IDENT_UNDEF",
            Self::IdentBadref => "D_IDENT_BADREF",
            Self::FuncUndef => "D_FUNC_UNDEF",
            Self::ProtoLen => "D_PROTO_LEN",
            Self::ProtoArg => "D_PROTO_ARG",
            Self::OpInt => "D_OP_INT",
            Self::OpScalar => "D_OP_SCALAR",
            Self::OpArith => "D_OP_ARITH",
            Self::OpIncompat => "D_OP_INCOMPAT",
            Self::OpLval => "D_OP_LVAL",
            Self::OpPtr => "D_OP_PTR",
            Self::OpSou => "D_OP_SOU",
            Self::OpIncomplete => "D_OP_INCOMPLETE",
            Self::OpAct => "D_OP_ACT",
            Self::OpWrite => "D_OP_WRITE",
            Self::CastInval => "D_CAST_INVAL",
            Self::PredScalar => "D_PRED_SCALAR",
            Self::OffsetofType => "D_OFFSETOF_TYPE",
            Self::OffsetofBitfield => "D_OFFSETOF_BITFIELD",
            Self::SizeofType => "D_SIZEOF_TYPE",
            Self::KeyType => "D_KEY_TYPE",
            Self::ArrBadref => "D_ARR_BADREF",
            Self::ArrBounds => "D_ARR_BOUNDS",
            Self::ArrLocal => "D_ARR_LOCAL",
            Self::OpArrfun => "D_OP_ARRFUN",
            Self::DeclIdred => "D_DECL_IDRED",
            Self::DeclCombo => "D_DECL_COMBO",
            Self::DeclClass => "D_DECL_CLASS",
            Self::DeclArrnull => "D_DECL_ARRNULL",
            Self::DeclProtoVoid => "D_DECL_PROTO_VOID",
            Self::DeclProtoForm => "D_DECL_PROTO_FORM",
            Self::DeclBadclass => "D_DECL_BADCLASS",
            Self::DeclIncomplete => "D_DECL_INCOMPLETE",
            Self::DeclBfsize => "D_DECL_BFSIZE",
            Self::DeclEnconst => "D_DECL_ENCONST",
            Self::DeclVoidobj => "D_DECL_VOIDOBJ",
            Self::AggRedef => "D_AGG_REDEF",
            Self::AggFunc => "D_AGG_FUNC",
            Self::AggScalar => "D_AGG_SCALAR",
            Self::AggNull => "D_AGG_NULL",
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
            Self::ClearAggarg => "D_CLEAR_AGGARG",
            Self::TruncAggarg => "D_TRUNC_AGGARG",
            Self::NormalizeAggarg => "D_NORMALIZE_AGGARG",
            Self::TraceDyn => "D_TRACE_DYN",
            Self::TraceVoid => "D_TRACE_VOID",
            Self::PrintfArgFmt => "D_PRINTF_ARG_FMT",
            Self::PrintfArgProto => "D_PRINTF_ARG_PROTO",
            Self::PrintfArgType => "D_PRINTF_ARG_TYPE",
            Self::PrintfDynType => "D_PRINTF_DYN_TYPE",
            Self::PrintfDynProto => "D_PRINTF_DYN_PROTO",
            Self::PrintaAggarg => "D_PRINTA_AGGARG",
            Self::PrintaProto => "D_PRINTA_PROTO",
            Self::PrintaAggkey => "D_PRINTA_AGGKEY",
            Self::PrintaAggproto => "D_PRINTA_AGGPROTO",
            Self::ArgsIdx => "D_ARGS_IDX",
            Self::ArgsMulti => "D_ARGS_MULTI",
            Self::ArgsNone => "D_ARGS_NONE",
            Self::AggComm => "D_AGG_COMM",
            Self::TracememAddr => "D_TRACEMEM_ADDR",
            Self::DerefFunc => "D_DEREF_FUNC",
            Self::DeclDynobj => "D_DECL_DYNOBJ",
            Self::PrintSize => "D_PRINT_SIZE",
            Self::TracememSize => "D_TRACEMEM_SIZE",
            Self::StackSize => "D_STACK_SIZE",
            Self::UstackFrames => "D_USTACK_FRAMES",
            Self::UstackStrsize => "D_USTACK_STRSIZE",
            Self::AggSpec => "D_AGG_SPEC",
            Self::CommComm => "D_COMM_COMM",
            Self::CommDrec => "D_COMM_DREC",
            Self::DrecComm => "D_DREC_COMM",
            Self::ExitSpec => "D_EXIT_SPEC",
            Self::ActSpec => "D_ACT_SPEC",
            Self::ActReturn => "D_ACT_RETURN",
            Self::SpecComm => "D_SPEC_COMM",
            Self::SpecDrec => "D_SPEC_DREC",
            Self::SpecSpec => "D_SPEC_SPEC",
            Self::DivZero => "D_DIV_ZERO",
            Self::DeclLocassc => "D_DECL_LOCASSC",
            Self::DeclArrbig => "D_DECL_ARRBIG",
            Self::DeclArrsub => "D_DECL_ARRSUB",
            Self::DeclBfconst => "D_DECL_BFCONST",
            Self::DeclTypered => "D_DECL_TYPERED",
            Self::ArgsType => "D_ARGS_TYPE",
            Self::VarUndef => "D_VAR_UNDEF",
            Self::StringofType => "D_STRINGOF_TYPE",
            Self::TypeMember => "D_TYPE_MEMBER",
            Self::DerefNonptr => "D_DEREF_NONPTR",
            Self::DerefVoid => "D_DEREF_VOID",
            Self::AddrofBitfield => "D_ADDROF_BITFIELD",
            Self::AddrofVar => "D_ADDROF_VAR",
            Self::AddrofLval => "D_ADDROF_LVAL",
            Self::FuncIdkind => "D_FUNC_IDKIND",
            Self::FuncIdent => "D_FUNC_IDENT",
            Self::PrintfAggConv => "D_PRINTF_AGG_CONV",
            Self::PrintfArgExtra => "D_PRINTF_ARG_EXTRA",
            Self::PrintfFmtEmpty => "D_PRINTF_FMT_EMPTY",
            Self::LquantMatchbase => "D_LQUANT_MATCHBASE",
            Self::LquantMatchlim => "D_LQUANT_MATCHLIM",
            Self::LquantMatchstep => "D_LQUANT_MATCHSTEP",
            Self::LlquantMatchfactor => "D_LLQUANT_MATCHFACTOR",
            Self::LlquantMatchlmag => "D_LLQUANT_MATCHLMAG",
            Self::LlquantMatchhmag => "D_LLQUANT_MATCHHMAG",
            Self::LlquantMatchsteps => "D_LLQUANT_MATCHSTEPS",
            Self::LlquantLmagtype => "D_LLQUANT_LMAGTYPE",
            Self::LlquantLmagval => "D_LLQUANT_LMAGVAL",
            Self::LlquantHmagtype => "D_LLQUANT_HMAGTYPE",
            Self::LlquantHmagval => "D_LLQUANT_HMAGVAL",
            Self::LlquantSteptype => "D_LLQUANT_STEPTYPE",
            Self::LlquantStepval => "D_LLQUANT_STEPVAL",
            Self::PdescZero => "D_PDESC_ZERO",
            Self::ProcBadpid => "D_PROC_BADPID",
            Self::ProcGrab => "D_PROC_GRAB",
            Self::ProcFunc => "D_PROC_FUNC",
            Self::ProcLib => "D_PROC_LIB",
            Self::ProcName => "D_PROC_NAME",
            Self::ProcOff => "D_PROC_OFF",
            Self::DeclParmclass => "D_DECL_PARMCLASS",
            Self::DeclCharattr => "D_DECL_CHARATTR",
            Self::DeclSignint => "D_DECL_SIGNINT",
            Self::DeclLongint => "D_DECL_LONGINT",
            Self::DeclEnoflow => "D_DECL_ENOFLOW",
            Self::DeclBftype => "D_DECL_BFTYPE",
            Self::Unknown => "D_UNKNOWN",
            Self::PragmaScope => "D_PRAGMA_SCOPE",
            Self::PragmaDepend => "D_PRAGMA_DEPEND",
            Self::PragmaUnused => "D_PRAGMA_UNUSED",
            Self::XlateRedecl => "D_XLATE_REDECL",
            Self::XlateSou => "D_XLATE_SOU",
            Self::XlateMemb => "D_XLATE_MEMB",
            Self::XlateIncompat => "D_XLATE_INCOMPAT",
            Self::XlateNone => "D_XLATE_NONE",
            Self::XlateNoconv => "D_XLATE_NOCONV",
            Self::ProvBadname => "D_PROV_BADNAME",
            Self::ProvPrdup => "D_PROV_PRDUP",
            Self::ProvIncompat => "D_PROV_INCOMPAT",
            Self::ProvPrxlator => "D_PROV_PRXLATOR",
            Self::DeclProtoName => "D_DECL_PROTO_NAME",
            Self::DeclProtoVarargs => "D_DECL_PROTO_VARARGS",
            Self::SizeofBitfield => "D_SIZEOF_BITFIELD",
            Self::AggMdim => "D_AGG_MDIM",
            Self::CgExpr => "D_CG_EXPR",
            Self::DeclVoidattr => "D_DECL_VOIDATTR",
            Self::DeclUseless => "D_DECL_USELESS",
            Self::DeclProtoType => "D_DECL_PROTO_TYPE",
            Self::OpDyn => "D_OP_DYN",
            Self::AllocaIncompat => "D_ALLOCA_INCOMPAT",
            Self::AllocaSize => "D_ALLOCA_SIZE",
            Self::OpVfptr => "D_OP_VFPTR",
        }
    }
}
