//! Where engines of this project are known to leave the specification, and why. Such a failure is counted as what it is, and
//! does not forbid that the engine qualifies; anything else that an instruction of this list gets wrong still does.

/// A known failure: signalling NaNs come out of instructions that must make them quiet. No kernel's value may depend on the
/// bits of a NaN, so kernels cannot tell.
struct Known {
    /// Engine id, as the worker says it.
    runtime: &'static str,
    /// The version it was seen in.
    version: &'static str,
    /// Instructions.
    operations: &'static [&'static str],
    /// Why.
    reason: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        runtime: "wamr.fast",
        version: "2.4.3",
        operations: &[
            "f32.ceil",
            "f32.floor",
            "f32.trunc",
            "f32.nearest",
            "f64.ceil",
            "f64.floor",
            "f64.trunc",
            "f64.nearest",
            "f32x4.ceil",
            "f32x4.floor",
            "f32x4.trunc",
            "f32x4.nearest",
            "f64x2.ceil",
            "f64x2.floor",
            "f64x2.trunc",
            "f64x2.nearest",
        ],
        reason: "WAMR rounds with functions of the C library, in whose place a Rust executable links those of compiler_builtins, which give a signalling NaN back as it is",
    },
    Known {
        runtime: "wamr.aot",
        version: "2.4.3",
        operations: &["f32x4.min", "f32x4.max", "f64x2.min", "f64x2.max"],
        reason: "WAMR compiles them to selections, which give a signalling NaN back as it is",
    },
];

/// Why it is known that this instruction gives signalling NaNs on this engine.
pub(super) fn signalling_nans(
    runtime: &str,
    version: &str,
    operation: &str,
) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|known| {
            known.runtime == runtime
                && known.version == version
                && known.operations.contains(&operation)
        })
        .map(|known| known.reason)
}
