//! Values of the component model as plain data.
//!
//! A value does not carry its type: `decode` makes one that fits the type it was given, and who else makes
//! one (the sandbox, from what a guest returned) makes it of the declared type.

/// A value of some [`Type`](crate::Type).
///
/// `==` compares floats as numbers, so a NaN differs from itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A `bool`.
    Bool(bool),
    /// A `u8`.
    U8(u8),
    /// A `u16`.
    U16(u16),
    /// A `u32`.
    U32(u32),
    /// A `u64`.
    U64(u64),
    /// An `s8`.
    S8(i8),
    /// An `s16`.
    S16(i16),
    /// An `s32`.
    S32(i32),
    /// An `s64`.
    S64(i64),
    /// An `f32`.
    F32(f32),
    /// An `f64`.
    F64(f64),
    /// A `char`.
    Char(char),
    /// A `string`.
    String(String),
    /// A `list<u8>`, which is never a [`Value::List`] when it comes from `decode`.
    Bytes(Vec<u8>),
    /// A `list<T>` of anything else.
    List(Vec<Self>),
    /// A `record`: the values of its fields, in the order of the declaration, none left out.
    Record(Vec<Self>),
    /// A `tuple`.
    Tuple(Vec<Self>),
    /// A `variant`: index of the case, and its payload if the case has one.
    Variant(u32, Option<Box<Self>>),
    /// An `enum`: index of the name.
    Enum(u32),
    /// A `flags`: indices of the names that are set, ascending.
    Flags(Vec<u32>),
    /// An `option<T>`.
    Option(Option<Box<Self>>),
    /// A `result<T, E>`.
    Result(Result<Option<Box<Self>>, Option<Box<Self>>>),
}
