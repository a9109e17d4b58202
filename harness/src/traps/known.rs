//! Workers that are known to be lost, and why. What stands here still runs, counts as a known failure and is shown with
//! every verdict; any other way to fail is a failure.

/// Why an engine's process ends in a case, where that is known.
pub fn crash(runtime: &str, case: &str) -> Option<&'static str> {
    let refusals =
        case.starts_with("limit-memory-refusals") || case.starts_with("limit-table-refusals");
    (runtime == "wasmi.fast" && refusals).then_some(
        "not for untrusted kernels: wasmi's dispatch by tail calls takes native stack for every refused growth, and hundreds of \
         thousands in one call end the process (wasmi 2.0.0; `wasmi`, with the portable dispatch, answers them)",
    )
}
