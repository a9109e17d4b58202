//! Each misuse of `fixtures/nn/guests/misuse.c`, and the error code that must come of it.

use super::{
    Finding, Found, MISUSE_GUEST, PATIENT, Wrong, finding, guest, models, offering, patient,
};
use crate::{Backend, Encoding, abi::Errno};
use Errno::{
    InvalidArgument as Argument, InvalidEncoding, NotFound, RuntimeError, Success, TooLarge,
    UnsupportedOperation as Unsupported,
};
use runtime_api::Runtime;
use std::sync::Arc;

/// Number, what is done, what comes of it.
const MISUSES: [(u32, &str, Errno); 46] = [
    (0, "load: a list outside of memory", Argument),
    (1, "load: a list whose length wraps", Argument),
    (2, "load: a part outside of memory", Argument),
    (3, "load: a part whose end wraps", Argument),
    (4, "load: a result outside of memory", Argument),
    (5, "load: an encoding that there is not", InvalidEncoding),
    (6, "load: an encoding without a backend", InvalidEncoding),
    (7, "load: a target that there is not", Argument),
    (8, "load: a target without a backend", Unsupported),
    (9, "load: bytes that are no document", Argument),
    (10, "load: bytes that are no ONNX", Argument),
    (11, "load: no parts", InvalidEncoding),
    (12, "load: 256 MiB in overlapping parts", TooLarge),
    (13, "load_by_name: a name outside of memory", Argument),
    (14, "load_by_name: a name whose end wraps", Argument),
    (15, "load_by_name: a result outside of memory", Argument),
    (16, "load_by_name: a name that there is not", NotFound),
    (17, "load_by_name: a name that is not UTF-8", Argument),
    (18, "load_by_name: 10 000 times", Success),
    (
        20,
        "init_execution_context: a graph that there is not",
        Argument,
    ),
    (
        21,
        "init_execution_context: a result outside of memory",
        Argument,
    ),
    (22, "init_execution_context: 10 000 times", TooLarge),
    (23, "set_input: a context that there is not", Argument),
    (24, "set_input: an input that there is not", Argument),
    (25, "set_input: a tensor outside of memory", Argument),
    (26, "set_input: dimensions outside of memory", Argument),
    (27, "set_input: dimensions whose length wraps", Argument),
    (28, "set_input: 1000 dimensions", Argument),
    (29, "set_input: data outside of memory", Argument),
    (30, "set_input: data whose end wraps", Argument),
    (31, "set_input: a type that there is not", Argument),
    (32, "set_input: a type that does not fit the data", Argument),
    (33, "set_input: dimensions whose product wraps", Argument),
    (34, "set_input: more rows than the data has", Argument),
    (
        35,
        "set_input: a tensor that does not fit the graph",
        Argument,
    ),
    (36, "compute: a context that there is not", Argument),
    (37, "compute: before the inputs", RuntimeError),
    (40, "get_output: after an input was set anew", RuntimeError),
    (41, "get_output: a context that there is not", Argument),
    (42, "get_output: an output that there is not", Argument),
    (
        43,
        "get_output: a buffer that is one byte too small",
        TooLarge,
    ),
    (44, "get_output: no buffer", TooLarge),
    (45, "get_output: a buffer outside of memory", Argument),
    (46, "get_output: a buffer whose end wraps", Argument),
    (47, "get_output: a length outside of memory", Argument),
    (48, "all as it should be", Success),
];

/// What must come of a misuse with a backend of this encoding: for 8 to 10 the bytes must be the backend's, or nobody looks at them.
fn due(number: u32, errno: Errno, encoding: Encoding) -> Errno {
    match (number, encoding) {
        (8 | 9, Encoding::Kernels) | (10, Encoding::Onnx) => errno,
        (8..=10, _) => InvalidEncoding,
        _ => errno,
    }
}

/// All misuses on an engine, each in a fresh instance, and what one guest sees of another.
pub(super) fn findings(runtime: &dyn Runtime, backend: &Arc<dyn Backend>) -> Vec<Finding> {
    let misuses = MISUSES.map(|(number, what, errno)| {
        let due = due(number, errno, backend.encoding());
        finding(what, misuse(runtime, backend, number, due))
    });
    let isolated = finding(
        "handles of another guest",
        foreign_handles(runtime, backend),
    );
    misuses.into_iter().chain([isolated]).collect()
}

fn misuse(runtime: &dyn Runtime, backend: &Arc<dyn Backend>, number: u32, due: Errno) -> Found {
    let nn = offering(backend, &models::all()[0], patient())?;
    let mut instance = guest(runtime, MISUSE_GUEST, nn)?.instantiate(PATIENT)?;
    let entry = instance.entry("misuse", 1)?;
    let code = instance.call(entry, &[number], PATIENT)?;
    match Errno::of(code) {
        Some(errno) if errno == due => Ok(errno.name().to_owned()),
        Some(errno) => Err(Wrong::Fails(format!(
            "{} where {} is due",
            errno.name(),
            due.name()
        ))),
        None => Err(Wrong::Fails(format!("the guest answers {code}"))),
    }
}

/// A handle that one instance was given means nothing to another one of the same guest.
fn foreign_handles(runtime: &dyn Runtime, backend: &Arc<dyn Backend>) -> Found {
    let nn = offering(backend, &models::all()[0], patient())?;
    let guest = guest(runtime, MISUSE_GUEST, nn)?;
    let (mut one, mut other) = (guest.instantiate(PATIENT)?, guest.instantiate(PATIENT)?);
    let (own, foreign) = (one.entry("own", 0)?, other.entry("foreign", 1)?);
    let handle = one.call(own, &[], PATIENT)?;
    let code = other.call(foreign, &[handle as u32], PATIENT)?;
    match Errno::of(code) {
        Some(Argument) => Ok(format!(
            "handle {handle} of one is {} to the other",
            Argument.name()
        )),
        _ => Err(Wrong::Fails(format!(
            "handle {handle} of one guest: the other one gets {code}"
        ))),
    }
}
