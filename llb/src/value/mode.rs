//! Permission bits.

/// Gives permission bits from an octal literal, checked when the program is compiled.
///
/// `755` and `0x755` compile as numbers and are other permissions than they look; here they do not compile.
///
/// ```
/// const EXECUTABLE: u32 = llb::mode!(0o755);
/// assert_eq!(EXECUTABLE, 0b111_101_101);
/// ```
///
/// ```compile_fail
/// let mode = llb::mode!(755);
/// ```
///
/// ```compile_fail
/// let mode = llb::mode!(0x755);
/// ```
#[macro_export]
macro_rules! mode {
    ($mode:literal) => {{
        const MODE: u32 = $mode;
        const _: () = $crate::value::mode::require_mode(stringify!($mode), MODE);
        MODE
    }};
}

/// Stops the compilation if a literal is no permission bits; [`mode!`](crate::mode) is written with it.
#[doc(hidden)]
pub const fn require_mode(literal: &str, mode: u32) {
    assert!(
        matches!(literal.as_bytes(), [b'0', b'o', ..]),
        "permission bits are octal: write 0o755"
    );
    assert!(
        mode <= 0o7777,
        "permission bits have at most four octal digits, such as 0o755"
    );
}
