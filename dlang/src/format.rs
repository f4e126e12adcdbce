//! `printf` and `printa` formats, parsed once: `check` matches them with their arguments, and
//! the consumer prints by them. The conversions and flags are those of libdtrace's `dt_printf`.

/// A parsed format string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// Literal text and conversions in order. `%%` is literal text.
    pub pieces: Vec<Piece>,
}

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes printed as they are, escapes resolved.
    Literal(Vec<u8>),
    /// A conversion.
    Conversion(Conversion),
}

/// A `%` conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The flags.
    pub flags: Flags,
    /// The minimum width.
    pub width: Option<Amount>,
    /// The precision.
    pub precision: Option<Amount>,
    /// What is printed, and how.
    pub spec: Spec,
    /// What the argument must be.
    pub length: Length,
    /// `%@...`: in `printa`, the aggregation's value and not the next key.
    pub aggregation: bool,
    /// The text as written, from `%` on.
    pub text: String,
}

impl Conversion {
    /// As libdtrace's messages show it: size and letter, without flags, width and precision.
    #[must_use]
    pub fn shown(&self) -> String {
        let letters = self.text.rfind(|c: char| !c.is_ascii_alphabetic());
        let start = letters.map_or(0, |last| last + 1);
        format!("%{}", &self.text[start..])
    }
}

/// Conversion flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one character of the format"
)]
pub struct Flags {
    /// `#`: alternate form.
    pub alternate: bool,
    /// `0`: pad with zeros.
    pub zero: bool,
    /// `-`: pad on the right.
    pub left: bool,
    /// `+`: always a sign.
    pub plus: bool,
    /// ` `: a blank where a plus sign would be.
    pub space: bool,
    /// `'`: thousands grouped, which the C locale does not do.
    pub group: bool,
}

/// A width or a precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// A number in the format.
    Fixed(u32),
    /// `*`: the next argument; a negative width means `-`, a negative precision none.
    Argument,
}

/// What a size prefix says the argument must be. How it shows goes by the argument's own type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Length {
    /// None: any integer.
    #[default]
    Any,
    /// `h`.
    Short,
    /// `l`.
    Long,
    /// `ll`.
    LongLong,
}

impl Length {
    /// Bytes of an integer of this length.
    #[must_use]
    pub const fn bytes(self) -> Option<u8> {
        match self {
            Self::Any => None,
            Self::Short => Some(2),
            Self::Long | Self::LongLong => Some(8),
        }
    }
}

/// The conversion letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spec {
    /// `%d`, `%i`.
    Decimal,
    /// `%u`.
    Unsigned,
    /// `%o`.
    Octal,
    /// `%x`.
    Hex,
    /// `%X`.
    HexUpper,
    /// `%c`.
    Char,
    /// `%C`: escapes instead of an unprintable byte.
    CharEscaped,
    /// `%s`.
    String,
    /// `%S`: escapes instead of unprintable bytes.
    Escaped,
    /// `%p`: hexadecimal without `0x`.
    Pointer,
    /// `%Y`: nanoseconds since 1970 as `2026 Nov 23 06:37:15`.
    Date,
    /// `%T`: the same as `Mon, 23 Nov 2026 06:37:15 UTC`.
    LongDate,
    /// `%a`: an address as the kernel's symbol that holds it.
    Address,
    /// `%A`: the same of the process in which the probe fired.
    UserAddress,
    /// `%k`: a stack.
    Stack,
    /// `%e %E %f %F %g %G`: floating point, by the letter.
    Float(char),
    /// `%@` alone or `%@d`-like with the letter left to the aggregating function.
    Default,
}
