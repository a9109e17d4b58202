//! The page around this module as an engine: the lines of the protocol are exchanged with JavaScript, through two functions that this
//! module imports. docs/worker-protocol.md has the lines, docs/targets.md the functions.

use super::protocol::MAX_LINE_BYTES;
use std::io;

#[allow(unsafe_code, reason = "the page is asked by imported functions")]
mod import {
    #[link(wasm_import_module = "assay")]
    unsafe extern "C" {
        /// Hands over a request line and answers the length of the reply, which the page keeps; 0 or less if nobody is there.
        pub(super) fn exchange(request: *const u8, length: usize) -> i32;
        /// Copies the reply that the page keeps.
        pub(super) fn reply(to: *mut u8);
    }
}

/// Asks the page.
///
/// # Errors
/// Why there is no reply.
#[allow(unsafe_code, reason = "the page is asked by imported functions")]
pub fn exchange(line: &[u8]) -> io::Result<Vec<u8>> {
    // SAFETY: the page reads so many bytes from there, and nothing else.
    let length = unsafe { import::exchange(line.as_ptr(), line.len()) };
    let length = usize::try_from(length)
        .ok()
        .filter(|length| (1..=MAX_LINE_BYTES).contains(length))
        .ok_or_else(|| io::Error::other(format!("the page answered a length of {length}")))?;
    let mut reply = vec![0; length];
    // SAFETY: the page writes as many bytes as it has just said, and this is their place.
    unsafe { import::reply(reply.as_mut_ptr()) };
    Ok(reply)
}
