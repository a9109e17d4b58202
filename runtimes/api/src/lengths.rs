//! Lengths that a parser adds up to less than they are.

use crate::Result;

/// Refuses, on machines of 32 bits, what the older parsers inside engines panic over there: the lengths of sections near 4 GiB wrap
/// around in wasmparser up to 0.254 at least. A newer one looks first. Elsewhere this looks at nothing.
///
/// # Errors
/// [`Error::Rejected`](crate::Error::Rejected) for a module that is not valid.
#[cfg_attr(
    not(target_pointer_width = "32"),
    expect(unused_variables, reason = "nothing is looked at")
)]
pub fn check_lengths(wasm: &[u8]) -> Result<()> {
    #[cfg(target_pointer_width = "32")]
    wasmparser::validate(wasm).map_err(|error| crate::Error::Rejected {
        stage: crate::Stage::Compile,
        message: error.to_string(),
    })?;
    Ok(())
}
