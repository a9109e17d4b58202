/// What an engine made of a module ahead of time, and whose origin somebody vouches for.
///
/// It is native code, or bytecode that an interpreter does not check: whoever loads forged bytes runs them outside of every
/// sandbox. That is why there is no safe way to one.
#[derive(Clone, Copy, Debug)]
pub struct TrustedCode<'a>(&'a [u8]);

impl<'a> TrustedCode<'a> {
    /// Vouches for `bytes`.
    ///
    /// # Safety
    /// They came, unchanged, from [`Runtime::precompile`](crate::Runtime::precompile) or from a compiler of the same engine
    /// that is trusted alike, for the very module that they will stand for.
    #[allow(unsafe_code, reason = "the promise that loading code rests on")]
    pub const unsafe fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The code.
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }
}
