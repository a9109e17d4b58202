//! Builds WAMR's ahead-of-time compiler from the sources inside the crate wamrx-sys, the very sources that the runtime
//! is built from: file format and structure layouts of the two must agree.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The version that main.c and the adapter are written for.
const WAMRX_SYS: &str = "0.3.0";
const LLVM_MAJOR: &str = "22";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/compile.c");
    println!("cargo::rerun-if-changed=src/compare.c");
    println!("cargo::rerun-if-changed=src/compare.h");
    println!("cargo::rerun-if-env-changed=LLVM_SYS_221_PREFIX");
    let core = wamr_sources().join("core");
    let llvm = Llvm::find();

    let iwasm = core.join("iwasm");
    let shared = core.join("shared");
    let platform = shared.join("platform");
    let mut c = cc::Build::new();
    configure(&mut c, &core, &llvm);
    let objects = c
        .std("gnu99")
        .file("src/compile.c")
        .file("src/compare.c")
        .files(
            sources(&iwasm.join("compilation"), "c")
                .into_iter()
                .chain(sources(&iwasm.join("compilation/simd"), "c"))
                .map(changed),
        )
        .files(sources(&iwasm.join("common"), "c"))
        .files(sources(&iwasm.join("libraries/thread-mgr"), "c"))
        .files(sources(&shared.join("utils"), "c"))
        .files(sources(&shared.join("mem-alloc"), "c"))
        .files(sources(&shared.join("mem-alloc/ems"), "c"))
        .files(sources(&platform.join("linux"), "c"))
        .files(
            [
                "posix_blocking_op.c",
                "posix_malloc.c",
                "posix_memmap.c",
                "posix_sleep.c",
                "posix_thread.c",
                "posix_time.c",
            ]
            .map(|name| platform.join("common/posix").join(name)),
        )
        .files(
            [
                "interpreter/wasm_loader.c",
                "interpreter/wasm_runtime.c",
                "interpreter/wasm_interp_classic.c",
                "aot/aot_intrinsic.c",
                "aot/aot_loader.c",
                "aot/aot_runtime.c",
                // Neither relocation nor calls of native functions happen in a compiler.
                "aot/arch/aot_reloc_dummy.c",
                "common/arch/invokeNative_general.c",
            ]
            .map(|name| iwasm.join(name)),
        )
        .compile_intermediates();

    let mut cpp = cc::Build::new();
    configure(&mut cpp, &core, &llvm);
    cpp.cpp(true)
        .std("c++17")
        .flag("-fno-rtti")
        .flag("-fno-exceptions")
        .files(sources(&iwasm.join("compilation"), "cpp"))
        // One archive: the two languages call each other.
        .objects(objects)
        .compile("wamr_compiler");

    println!("cargo::rustc-link-search=native={}", llvm.libraries);
    println!("cargo::rustc-link-lib=dylib=LLVM-{LLVM_MAJOR}");
    println!("cargo::rustc-env=LLVM_VERSION={}", llvm.version);
}

/// Changes to WAMR's compiler: file, what stands there, how often, and what is put in its place.
const CHANGES: [(&str, &str, usize, &str); 9] = [
    // It looks at the flag that stops a thread only where memory is shared, so that nothing stops other loops.
    (
        "aot_emit_control.c",
        "if (!is_shared_memory) {\n        return true;\n    }\n",
        1,
        "(void)is_shared_memory; /* changed by the project Kernel Assay: was a return unless memory is shared */\n",
    ),
    // On 32-bit targets, a fill or copy whose end wraps around to address zero passed the check, and wrote over what lies behind the
    // memory. Only nothing at address zero ends there.
    (
        "aot_emit_memory.c",
        "BUILD_OP(And, cmp, cmp1, cmp, \"overflow\");",
        1,
        "(void)cmp1; /* changed by the project Kernel Assay: was an exception for the end zero */",
    ),
    // Other targets than x86 saturate vectors of 32 bits to narrow them, and did it with the instructions for 16 bits: LLVM ends itself over it.
    (
        "simd_conversions.c",
        "simd_saturate(comp_ctx, func_ctx, e_sat_i16x8, vec",
        2,
        "simd_saturate(comp_ctx, func_ctx, itype /* changed by the project Kernel Assay: was e_sat_i16x8 */, vec",
    ),
    // min and max of vectors give a signalling NaN back as it is; an addition makes it quiet, as the specification asks.
    (
        "simd_floating_point.c",
        "LLVMBuildSelect(comp_ctx->builder, lhs_nan, lhs, ret2,",
        2,
        "LLVMBuildSelect(comp_ctx->builder, lhs_nan, LLVMBuildFAdd(comp_ctx->builder, lhs, lhs, \"quiet\") /* changed by the project Kernel Assay: was lhs */, ret2,",
    ),
    (
        "simd_floating_point.c",
        "LLVMBuildSelect(comp_ctx->builder, rhs_nan, rhs, ret3,",
        2,
        "LLVMBuildSelect(comp_ctx->builder, rhs_nan, LLVMBuildFAdd(comp_ctx->builder, rhs, rhs, \"quiet\") /* changed by the project Kernel Assay: was rhs */, ret3,",
    ),
    // For AArch64, LLVM makes FMAXNM and FMINNM of a comparison with a constant and a choice by it, which differ from it for a
    // signalling NaN and zeros: compare.c. It leaves comparisons whose result is a mask alone, and min and max look for NaNs after it.
    (
        "aot_emit_compare.c",
        "#include \"aot_emit_compare.h\"\n",
        1,
        "#include \"aot_emit_compare.h\"\n#include \"compare.h\" /* changed by the project Kernel Assay: was not there */\n",
    ),
    (
        "aot_emit_compare.c",
        "LLVMBuildFCmp(comp_ctx->builder, op",
        2,
        "assay_compare(comp_ctx /* changed by the project Kernel Assay: was LLVMBuildFCmp */, op",
    ),
    (
        "simd_floating_point.c",
        "#include \"simd_floating_point.h\"\n",
        1,
        "#include \"simd_floating_point.h\"\n#include \"compare.h\" /* changed by the project Kernel Assay: was not there */\n",
    ),
    (
        "simd_floating_point.c",
        "    if (!(cmp = LLVMBuildFCmp(comp_ctx->builder,\n                              op == FLOAT_MIN",
        1,
        "    selected = assay_pseudo_minmax(comp_ctx, op == FLOAT_MIN, lhs, rhs);\n    if (selected)\n        return simd_bitcast_and_push_v128(comp_ctx, func_ctx, selected, \"result\"); /* changed by the project Kernel Assay: was not there */\n\n    if (!(cmp = LLVMBuildFCmp(comp_ctx->builder,\n                              op == FLOAT_MIN",
    ),
];

/// A copy with the changes to this file, or the file itself if there are none.
fn changed(source: PathBuf) -> PathBuf {
    let mut changes = CHANGES
        .iter()
        .filter(|(name, ..)| source.ends_with(name))
        .peekable();
    let Some((name, ..)) = changes.peek() else {
        return source;
    };
    let copy = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join(name);
    let mut text =
        fs::read_to_string(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    for (_, from, times, to) in changes {
        assert_eq!(
            text.matches(from).count(),
            *times,
            "{} is not the file that this change is for",
            source.display()
        );
        text = text.replace(from, to);
    }
    fs::write(&copy, text).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
    copy
}

/// Definitions as WAMR's own build of wamrc has them, with the features that the adapter's runtime has.
fn configure(build: &mut cc::Build, core: &Path, llvm: &Llvm) {
    // Release, whatever the Rust profile: assertions abort on input that is merely wrong, and LLVM is slow enough.
    build
        .opt_level(2)
        .debug(false)
        .warnings(false)
        .define("NDEBUG", None);
    for folder in [
        "iwasm/include",
        "iwasm/common",
        "iwasm/interpreter",
        "iwasm/aot",
        "iwasm/compilation",
        // Of a changed copy, headers are where the original stands.
        "iwasm/compilation/simd",
        "iwasm/libraries/thread-mgr",
        "shared/mem-alloc",
        "shared/platform/include",
        "shared/platform/linux",
        "shared/utils",
        "shared/utils/uncommon",
        "",
    ] {
        build.include(core.join(folder));
    }
    // What changed copies include.
    build.include("src");
    build.include(&llvm.includes);
    let target = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "BUILD_TARGET_X86_64",
        Ok("aarch64") => "BUILD_TARGET_AARCH64",
        other => panic!("assay-wamrc runs on x86_64 and aarch64, not on {other:?}"),
    };
    if target == "BUILD_TARGET_AARCH64" {
        build.define("BUILD_TARGET", "\"AARCH64\"");
    }
    for name in [
        target,
        "_GNU_SOURCE",
        "__STDC_CONSTANT_MACROS",
        "__STDC_FORMAT_MACROS",
        "__STDC_LIMIT_MACROS",
        "BH_PLATFORM_LINUX",
    ] {
        build.define(name, None);
    }
    for (name, value) in [
        ("BH_MALLOC", "wasm_runtime_malloc"),
        ("BH_FREE", "wasm_runtime_free"),
        // Its progress report goes nowhere: what this program prints is what is wrong.
        ("BH_VPRINTF", "assay_discard"),
        ("WASM_HAVE_MREMAP", "1"),
        ("WASM_ENABLE_WAMR_COMPILER", "1"),
        ("WASM_ENABLE_AOT", "1"),
        ("WASM_ENABLE_AOT_INTRINSICS", "1"),
        ("WASM_ENABLE_QUICK_AOT_ENTRY", "1"),
        ("WASM_ENABLE_INTERP", "1"),
        ("WASM_ENABLE_FAST_INTERP", "0"),
        ("WASM_ENABLE_THREAD_MGR", "1"),
        ("WASM_ENABLE_BULK_MEMORY", "1"),
        ("WASM_ENABLE_BULK_MEMORY_OPT", "1"),
        ("WASM_ENABLE_REF_TYPES", "1"),
        ("WASM_ENABLE_CALL_INDIRECT_OVERLONG", "1"),
        ("WASM_ENABLE_SIMD", "1"),
        ("WASM_ENABLE_SHRUNK_MEMORY", "0"),
        ("WASM_ENABLE_MULTI_MODULE", "0"),
        ("WASM_DISABLE_HW_BOUND_CHECK", "1"),
        ("WASM_DISABLE_STACK_HW_BOUND_CHECK", "1"),
        ("WASM_DISABLE_WRITE_GS_BASE", "1"),
    ] {
        build.define(name, value);
    }
}

/// WAMR's folder in the unpacked crate, wherever Cargo keeps it.
fn wamr_sources() -> PathBuf {
    let manifest = env::var("CARGO_MANIFEST_PATH").unwrap_or_else(|_| "Cargo.toml".to_owned());
    // Only this machine's packages, and the versions of the lock file: `make` has fetched those, others may not be here.
    let host = env::var("HOST").unwrap_or_else(|error| panic!("HOST: {error}"));
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--locked"])
        .arg(format!("--filter-platform={host}"))
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .unwrap_or_else(|error| panic!("cargo metadata, for the sources of wamrx-sys: {error}"));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("cargo metadata, for the sources of wamrx-sys: {said}")
    });
    let package = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "wamrx-sys")
        .unwrap_or_else(|| panic!("no package of this workspace depends on wamrx-sys"));
    assert_eq!(
        package["version"], WAMRX_SYS,
        "this compiler is written for another wamrx-sys"
    );
    let manifest = package["manifest_path"].as_str();
    let manifest = Path::new(manifest.unwrap_or_else(|| panic!("wamrx-sys lies nowhere")));
    let folder = manifest.with_file_name("wasm-micro-runtime");
    println!("cargo::rerun-if-changed={}", folder.display());
    folder
}

fn sources(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

struct Llvm {
    includes: String,
    libraries: String,
    version: String,
}

impl Llvm {
    /// By the variable that llvm-sys uses too, else where Debian installs it.
    fn find() -> Self {
        let candidates = match env::var("LLVM_SYS_221_PREFIX") {
            Ok(prefix) => vec![format!("{prefix}/bin/llvm-config")],
            Err(_) => vec![
                format!("llvm-config-{LLVM_MAJOR}"),
                format!("/usr/lib/llvm-{LLVM_MAJOR}/bin/llvm-config"),
            ],
        };
        let found = candidates.iter().find_map(|program| {
            let ask = |question: &str| {
                let output = Command::new(program).arg(question).output().ok()?;
                let answer = String::from_utf8(output.stdout).ok()?;
                (output.status.success()).then(|| answer.trim().to_owned())
            };
            let version = ask("--version").filter(|version| version.starts_with("22."))?;
            Some(Self {
                includes: ask("--includedir")?,
                libraries: ask("--libdir")?,
                version,
            })
        });
        found.unwrap_or_else(|| {
            panic!(
                "LLVM {LLVM_MAJOR} is needed: apt-get install llvm-{LLVM_MAJOR}-dev, or LLVM_SYS_221_PREFIX=<its folder>; tried {candidates:?}"
            )
        })
    }
}
