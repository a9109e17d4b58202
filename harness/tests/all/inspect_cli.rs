//! `assay inspect` as a user meets it: each form where there is an engine for it, and why not where there is none.

use crate::support::{core_pack, json};

/// The exit code, and the text or the error.
fn inspect(kernel: &str, runtime: &str, form: &str, more: &[&str]) -> (i32, String) {
    let pack = core_pack();
    let mut arguments = vec!["inspect", pack.to_str().unwrap(), kernel];
    arguments.extend(["--runtime", runtime, "--form", form]);
    arguments.extend(more);
    let (exit, document) = json(&arguments);
    let key = if exit == 0 { "text" } else { "error" };
    (exit, document[key].as_str().unwrap().to_owned())
}

#[test]
fn the_text_of_the_module_needs_no_engine_that_shows_code() {
    let (exit, text) = inspect("kv_unpack_q8", "wasmi", "wat", &[]);
    assert_eq!(exit, 0, "{text}");
    assert!(text.starts_with("(module") && text.contains("kernel_forward"));
}

#[test]
fn what_an_engine_does_not_show_has_a_reason() {
    let (exit, error) = inspect("kv_unpack_q8", "wasmi", "asm", &[]);
    assert_eq!(exit, 4);
    assert!(
        error.contains("wasmi does not show its code as asm"),
        "{error}"
    );
}

#[test]
fn a_kernel_that_is_not_in_the_pack_is_a_usage_error_which_names_those_that_are() {
    let (exit, error) = inspect("attention", "wasmi", "wat", &[]);
    assert_eq!(exit, 2);
    assert!(error.contains("kv_unpack_q8"), "{error}");
}

#[cfg(feature = "wasmtime")]
#[test]
fn wasmtime_shows_clif_and_instructions_with_the_checks_of_the_budget() {
    let (exit, clif) = inspect("kv_unpack_q8", "wasmtime.cranelift", "clif", &[]);
    assert_eq!(exit, 0, "{clif}");
    assert!(clif.contains("function u0:"));

    for engine in ["wasmtime.cranelift", "wasmtime.pulley", "wasmtime.winch"] {
        let form = |budget| inspect("kv_unpack_q8", engine, "asm", &["--budget", budget]);
        let ((exit, without), (_, with)) = (form("none"), form("fuel"));
        assert_eq!(exit, 0, "{engine}: {without}");
        assert!(without.contains("ret"), "{engine}: {without}");
        let lines = |text: &str| text.lines().count();
        assert!(
            lines(&with) > lines(&without),
            "{engine}: fuel costs no instruction"
        );
    }

    let (exit, error) = inspect("kv_unpack_q8", "wasmtime.winch", "clif", &[]);
    assert_eq!(exit, 4);
    assert!(error.contains("one pass"), "{error}");
    let (exit, error) = inspect("kv_unpack_q8", "wasmtime.cranelift", "llvm-ir", &[]);
    assert_eq!(exit, 4);
    assert!(error.contains("does not use LLVM"), "{error}");
}
