//! What must come of a call, and what is wrong with what did.

use kernel_cases::{
    case::Case,
    number,
    truth::{self, Verdict},
};
use kernel_pack::Dtype;
use runtime_call::Frame;

/// How far native code of others may be from that of this project, as a part of the largest value: they round elsewhere, and may compute in f16.
const NEAR: f64 = 1.0 / 128.0;

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
        /// Of the output's elements, where that is known.
        dtype: Option<Dtype>,
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

    /// What is wrong with what native code of others left of a frame: it need not hold to the contract, but it has to compute the same.
    pub(in crate::bench) fn check_near(&self, after: &[u8]) -> Result<(), String> {
        let Expect::Frame {
            frame,
            output,
            dtype: Some(dtype),
            ..
        } = self
        else {
            return Err("nothing says what its output should be near to".to_owned());
        };
        frame
            .check(after, true)
            .map_err(|violation| violation.to_string())?;
        let due = number::decode(*dtype, output);
        let found = number::decode(*dtype, frame.output(after));
        let largest = due
            .iter()
            .fold(0.0, |most: f64, value| most.max(value.abs()));
        let far =
            |(found, due): (&f64, &f64)| !(*found == *due || (found - due).abs() <= NEAR * largest);
        if output.is_empty() || found.len() != due.len() {
            return Err(format!(
                "{} elements where {} are due",
                found.len(),
                due.len()
            ));
        }
        match found.iter().zip(&due).position(far) {
            Some(at) => Err(format!(
                "element {at} is {}, far from {}: it computes something else",
                found[at], due[at]
            )),
            None => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_call::{Fill, Output, Tensors};

    #[test]
    fn what_is_near_computes_the_same_and_what_is_far_does_not() {
        let bytes = |values: [f32; 3]| values.map(f32::to_le_bytes).concat();
        let tensors = Tensors {
            params: &[],
            a: &[],
            b: &[],
            output: Output::Written(12),
            scratch_size: 0,
        };
        let frame = Frame::place(&tensors, 1024, 16, Fill::FIRST).unwrap();
        let place = frame.placed().output.offset - frame.start();
        let after = |values| {
            let mut image = frame.image().to_vec();
            image[place as usize..][..12].copy_from_slice(&bytes(values));
            image
        };
        let expect = Expect::Frame {
            output: bytes([1.0, -8.0, 0.0]),
            dtype: Some(Dtype::F32),
            case: None,
            frame: Box::new(frame.clone()),
        };
        assert_eq!(expect.check_near(&after([1.05, -8.0, -0.05])), Ok(()));
        for far in [[1.1, -8.0, 0.0], [1.0, 8.0, 0.0], [1.0, -8.0, f32::NAN]] {
            let error = expect.check_near(&after(far)).unwrap_err();
            assert!(error.contains("it computes something else"), "{error}");
        }
        let mut stray = after([1.0, -8.0, 0.0]);
        stray[0] ^= 1;
        assert!(expect.check_near(&stray).is_err());
    }
}
