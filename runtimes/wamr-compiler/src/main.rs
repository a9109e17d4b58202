//! `assay-wamrc [--target x86_64|aarch64|armv7] [--simd] IN.wasm OUT.aot`: WAMR's ahead-of-time compiler with the
//! options of the project's adapter.
//!
//! Code is for a fixed processor and not for the one it is compiled on, so that it is the same everywhere; none of them
//! has what would let LLVM contract a multiplication and an addition. Bad input is one line on stderr and exit code 1, a
//! wrong command line exit code 2. The process ends itself by SIGALRM after 120 s, and on Linux with the process that started it.

use std::{
    env,
    ffi::{CStr, CString, c_char},
    fs,
    process::ExitCode,
};

const USAGE: &str = "usage: assay-wamrc [--target x86_64|aarch64|armv7] [--simd] IN.wasm OUT.aot
       assay-wamrc --version";

const SECONDS: u32 = 120;

#[derive(Clone, Copy)]
struct Target {
    name: &'static str,
    arch: &'static str,
    abi: &'static str,
    cpu: &'static str,
    /// The least processor that has what WAMR wants for 128-bit vectors; none if it has no code for them.
    simd_cpu: Option<&'static str>,
    features: &'static str,
}

const TARGETS: [Target; 3] = [
    Target {
        name: "x86_64",
        arch: "x86_64",
        abi: "gnu",
        cpu: "x86-64",
        simd_cpu: Some("x86-64-v2"),
        features: "",
    },
    Target {
        name: "aarch64",
        arch: "aarch64v8",
        abi: "gnu",
        cpu: "generic",
        simd_cpu: Some("generic"),
        features: "",
    },
    Target {
        name: "armv7",
        arch: "armv7",
        abi: "gnueabihf",
        cpu: "generic",
        simd_cpu: None,
        // As Rust's armv7 hard-float targets: NEON flushes denormals.
        features: "+vfp3,-neon,-d32",
    },
];

struct Request {
    target: Target,
    simd: bool,
    input: String,
    output: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments == ["--version"] {
        println!(
            "assay-wamrc {} (WAMR 2.4.3, LLVM {})",
            env!("CARGO_PKG_VERSION"),
            env!("LLVM_VERSION")
        );
        return ExitCode::SUCCESS;
    }
    let Some(request) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    end_with_parent();
    match run(&request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Nobody waits for the code if the worker that asked for it is gone.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
    {
        eprintln!("failed to tie this process to the one that started it: {error}");
    }
}

fn parse(arguments: &[String]) -> Option<Request> {
    let native = if cfg!(target_arch = "aarch64") {
        "aarch64"
    } else {
        "x86_64"
    };
    let mut target = native;
    let mut simd = false;
    let mut files = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--target" => target = rest.next()?,
            "--simd" => simd = true,
            option if option.starts_with('-') => return None,
            file => files.push(file.to_owned()),
        }
    }
    let target = *TARGETS.iter().find(|known| known.name == target)?;
    let [input, output] = <[String; 2]>::try_from(files).ok()?;
    Some(Request {
        target,
        simd: simd && target.simd_cpu.is_some(),
        input,
        output,
    })
}

fn run(request: &Request) -> Result<(), String> {
    let mut wasm =
        fs::read(&request.input).map_err(|error| format!("{}: {error}", request.input))?;
    if wasm.get(..8) != Some(b"\0asm\x01\0\0\0") {
        return Err(format!("{}: not a binary module", request.input));
    }
    let stack_usage = format!("{}.su", request.output);
    let code = compile(&mut wasm, request.target, request.simd, &stack_usage);
    // It is there unless the compiler stopped before LLVM wrote it.
    let _absent = fs::remove_file(&stack_usage);
    let code = code.map_err(|message| format!("{}: {message}", request.input))?;
    fs::write(&request.output, code).map_err(|error| format!("{}: {error}", request.output))
}

/// Machine code in WAMR's file format for the module, which WAMR overwrites in parts.
#[allow(unsafe_code)]
fn compile(
    wasm: &mut [u8],
    target: Target,
    simd: bool,
    stack_usage: &str,
) -> Result<&'static [u8], String> {
    let cpu = target.simd_cpu.filter(|_| simd).unwrap_or(target.cpu);
    let [arch, abi, cpu, features] = [target.arch, target.abi, cpu, target.features]
        .map(|text| CString::new(text).unwrap_or_default().into_raw());
    let stack_usage = CString::new(stack_usage).map_err(|error| error.to_string())?;
    let size = u32::try_from(wasm.len()).map_err(|_| "larger than 4 GiB".to_owned())?;
    let mut error = [0 as c_char; 256];
    let mut code_size = 0;
    // SAFETY: the module is writable and `size` long, the texts are C strings that are never freed, the error buffer is
    // as long as it is said to be. The answer is null or `code_size` bytes that WAMR does not free either.
    unsafe {
        let code = assay_compile(
            wasm.as_mut_ptr(),
            size,
            arch,
            abi,
            cpu,
            features,
            simd,
            stack_usage.as_ptr(),
            SECONDS,
            &mut code_size,
            error.as_mut_ptr(),
            error.len() as u32,
        );
        if code.is_null() {
            Err(CStr::from_ptr(error.as_ptr())
                .to_string_lossy()
                .into_owned())
        } else {
            Ok(std::slice::from_raw_parts(code, code_size as usize))
        }
    }
}

#[allow(unsafe_code)]
unsafe extern "C" {
    fn assay_compile(
        wasm: *mut u8,
        size: u32,
        arch: *mut c_char,
        abi: *mut c_char,
        cpu: *mut c_char,
        features: *mut c_char,
        simd: bool,
        stack_usage: *const c_char,
        seconds: u32,
        code_size: *mut u32,
        error: *mut c_char,
        error_size: u32,
    ) -> *mut u8;
}
