//! What must come of a call, and what is wrong with what did.

use kernel_cases::{
    case::Case,
    truth::{self, Verdict},
};
use runtime_call::Frame;

/// What must come of a call.
pub enum Expect {
    /// Status 0, the frame intact and this output.
    Frame {
        /// Regions and guard bands.
        frame: Box<Frame>,
        /// The output of a native build; empty where there is none.
        output: Vec<u8>,
        /// What other outputs are judged by, within the tolerance; `None` where the bits are due.
        case: Option<Box<Case>>,
    },
    /// The argument, and these bytes at this address.
    Bytes {
        /// Where.
        at: u32,
        /// The bytes.
        bytes: Vec<u8>,
        /// The argument.
        returned: i32,
    },
    /// Status 0, and `kernel_cleanup` finds nothing wrong.
    Cleanup,
    /// The trap `Unreachable`; with this argument it returns it instead.
    Trap {
        /// The argument.
        alive: u32,
    },
}

impl Expect {
    /// The frame of a call.
    pub(in crate::bench) fn frame(&self) -> Option<&Frame> {
        match self {
            Expect::Frame { frame, .. } => Some(frame),
            _ => None,
        }
    }

    /// What is wrong with what a call left of all that it may have touched.
    pub(in crate::bench) fn check(&self, after: &[u8]) -> Result<(), String> {
        match self {
            Expect::Frame { frame, .. } => self.check_frame(frame, after),
            Expect::Bytes { bytes, .. } => check_output(after, bytes),
            Expect::Cleanup | Expect::Trap { .. } => Ok(()),
        }
    }

    /// What is wrong with what a call left of a frame, its own or that of the same call elsewhere.
    pub(in crate::bench) fn check_frame(&self, frame: &Frame, after: &[u8]) -> Result<(), String> {
        frame
            .check(after, true)
            .map_err(|violation| violation.to_string())?;
        self.check_output_read(frame.output(after))
    }

    /// What is wrong with an output.
    pub(in crate::bench) fn check_output_read(&self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Expect::Frame {
                case: Some(case),
                output,
                ..
            } if bytes != output => match truth::judge_all(case, bytes) {
                Some(Verdict::Pass { .. }) => Ok(()),
                Some(Verdict::Fail(mismatch)) => Err(format!("its output is wrong: {mismatch}")),
                Some(Verdict::NotApplicable(reason) | Verdict::Unknown(reason)) => {
                    Err(format!("its output cannot be judged: {reason}"))
                }
                None => Err("nothing says what its output should be".to_owned()),
            },
            Expect::Frame { output, .. } => check_output(bytes, output),
            Expect::Bytes {
                bytes: expected, ..
            } => check_output(bytes, expected),
            Expect::Cleanup | Expect::Trap { .. } => Ok(()),
        }
    }
}

fn check_output(output: &[u8], expected: &[u8]) -> Result<(), String> {
    if output == expected {
        return Ok(());
    }
    let at = output
        .iter()
        .zip(expected)
        .position(|(ours, theirs)| ours != theirs)
        .unwrap_or(output.len().min(expected.len()));
    Err(format!(
        "the output of what was timed is wrong, from byte {at} of {} on",
        expected.len()
    ))
}
