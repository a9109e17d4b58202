//! Any calls of WASI-NN's functions, with any arguments, over any memory of a guest: each ends in an error code, none panics, what fails writes nothing, and
//! what is held for a guest stays within its limit.
#![no_main]

use arbitrary::Arbitrary;
use runtime_api::Functions;
use runtime_nn::{
    Limits, Nn,
    abi::{Abi, Errno, IMPORTS},
    backends::Native,
};
use std::sync::{Arc, OnceLock};

#[derive(Arbitrary, Debug)]
struct Call {
    function: u8,
    arguments: [Argument; 5],
}

/// Small numbers are handles, codes and lengths; places are in the memory, or just outside.
#[derive(Arbitrary, Debug)]
enum Argument {
    Small(u8),
    Place(u16),
    Any(u32),
}

impl Argument {
    fn value(&self) -> u32 {
        match self {
            Argument::Small(value) => u32::from(*value % 8),
            Argument::Place(at) => u32::from(*at),
            Argument::Any(value) => *value,
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Input {
    calls: Vec<Call>,
    memory: Vec<u8>,
}

fn nn() -> &'static Arc<Nn> {
    static NN: OnceLock<Arc<Nn>> = OnceLock::new();
    NN.get_or_init(|| {
        let limits = Limits {
            graph_bytes: 32 << 10,
            graphs: 4,
            contexts: 4,
            tensor_bytes: 32 << 10,
            held_bytes: 64 << 10,
            ..Limits::default()
        };
        let document = include_bytes!("../../fixtures/nn/rmsnorm.json");
        let native = Native::base();
        let nn = Nn::new(limits).backend(Arc::new(native));
        let named = nn.named("", &native, document.to_vec());
        Arc::new(named.expect("the document is one"))
    })
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    let mut abi = Abi::new(nn().session());
    let mut memory = input.memory;
    memory.resize(memory.len().min(60_000) + 4096, 0);
    for call in input.calls.iter().take(64) {
        let function = usize::from(call.function) % IMPORTS.functions.len();
        let parameters = IMPORTS.functions[function].parameters;
        let arguments: Vec<u32> = call.arguments.iter().map(Argument::value).collect();
        let before = memory.clone();
        let ended = abi.call(function, &arguments[..parameters], Some(&mut memory));
        let errno = ended.ok().and_then(Errno::of);
        assert!(errno.is_some(), "{call:?}");
        assert!(
            errno == Some(Errno::Success) || memory == before,
            "{call:?}"
        );
        assert!(abi.session().held_bytes() <= 64 << 10, "{call:?}");
    }
});
