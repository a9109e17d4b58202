//! Two functions of the compiler's library that wasmer's table of library functions names, on aarch64 too, where no code calls them.
//! Rust's compiler_builtins has them there only if it was built with its C sources, as the one from rustup is; without them a
//! standard library that was built from its Rust sources does not link.

#![allow(
    unsafe_code,
    reason = "the linker finds them by their names; they are what LLVM's compiler-rt has under these"
)]

#[unsafe(no_mangle)]
extern "C" fn __negdf2(value: f64) -> f64 {
    -value
}

#[unsafe(no_mangle)]
extern "C" fn __negsf2(value: f32) -> f32 {
    -value
}
