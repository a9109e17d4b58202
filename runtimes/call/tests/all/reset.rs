//! What a reset of an instance undoes, and what it does not, on a real engine with kernels that keep state.

use runtime_api::{Budget, BudgetKind, Instance, Limits, Module, Options};
use runtime_call::{Contract, Image, KernelHost, Output, Path, Tensors};

const BUDGET: Budget = Budget::Fuel(10_000_000);

fn compile(wasm: &[u8]) -> Box<dyn Module> {
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::Fuel,
    };
    runtime_wasmi::runtime()
        .unwrap()
        .compile(wasm, &options)
        .unwrap()
}

/// A kernel whose first element also contains that of the previous call.
fn planted() -> Box<dyn Module> {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/faulty");
    compile(&std::fs::read(fixtures.join("static_state.wasm")).unwrap())
}

/// First elements of the outputs of three calls on the same tensors.
fn first_elements<'a>(
    module: &'a dyn Module,
    between: impl FnOnce(KernelHost<'a>) -> KernelHost<'a>,
) -> Vec<f32> {
    let heap_base = module
        .instantiate(BUDGET)
        .unwrap()
        .global("__heap_base")
        .unwrap();
    let contract = Contract {
        kernel: "swiglu_f32".to_owned(),
        engine: "wasmi".to_owned(),
        entry: "kernel_forward".to_owned(),
        heap_base: heap_base.cast_unsigned(),
        max_pages: 64,
        budget: BUDGET,
    };
    let mut host = between(KernelHost::new(module, contract, None, |_| {}));
    // Rows 1, hidden 4, beta 1.
    let params = [1, 4, 1.0_f32.to_bits()].map(u32::to_le_bytes).concat();
    let ones = [1.0_f32; 4].map(f32::to_le_bytes).concat();
    let tensors = Tensors {
        params: &params,
        a: &ones,
        b: &ones,
        output: Output::Written(16),
        scratch_size: 0,
    };
    (0..3)
        .map(|_| {
            let served = host.call(&tensors).unwrap();
            assert_eq!(served.path, Path::Kernel);
            f32::from_le_bytes(served.output[..4].try_into().unwrap())
        })
        .collect()
}

#[test]
fn state_in_memory_does_not_outlive_a_reset() {
    let module = planted();
    let kept = first_elements(module.as_ref(), |host| host);
    assert!(kept[1] > 1.9 * kept[0] && kept[2] > kept[0], "{kept:?}");
    let reset = first_elements(module.as_ref(), KernelHost::with_reset);
    assert_eq!(reset, [kept[0]; 3]);
}

/// Counts its calls in a global, and writes the count to the output.
const COUNTING: &str = r#"(module (memory (export "memory") 1)
  (global (export "__heap_base") i32 (i32.const 1024))
  (global $count (mut i32) (i32.const 0))
  (func (export "kernel_init") (param i32 i32) (result i32) (i32.const 0))
  (func (export "kernel_forward") (param i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (f32.store (i32.load offset=16 (local.get 0)) (f32.convert_i32_s (global.get $count)))
    (i32.const 0)))"#;

#[test]
fn state_in_a_global_outlives_a_reset_and_not_a_fresh_instance() {
    let module = compile(&wat::parse_str(COUNTING).unwrap());
    let reset = first_elements(module.as_ref(), KernelHost::with_reset);
    assert_eq!(reset, [1.0, 2.0, 3.0]);
    let fresh = first_elements(module.as_ref(), KernelHost::with_fresh_instances);
    assert_eq!(fresh, [1.0; 3]);
}

/// `leave` changes memory below and above 1024, in pages it adds, and a global.
const STATES: &str = r#"(module (memory (export "memory") 1)
  (data (i32.const 16) "abcd")
  (global $kept (export "kept") (mut i32) (i32.const 0))
  (func (export "leave") (result i32)
    (i32.store (i32.const 16) (i32.const -1))
    (i32.store (i32.const 1020) (i32.const -1))
    (i32.store (i32.const 1024) (i32.const -1))
    (drop (memory.grow (i32.const 2)))
    (i32.store (i32.const 196604) (i32.const -1))
    (global.set $kept (i32.const 5))
    (i32.const 0)))"#;

#[test]
fn a_reset_brings_memory_back_and_leaves_its_size_and_globals() {
    let module = compile(&wat::parse_str(STATES).unwrap());
    let memory = |instance: &mut dyn Instance| {
        let mut bytes = vec![0; instance.memory_pages().unwrap() as usize * 65_536];
        instance.read(0, &mut bytes).unwrap();
        bytes
    };
    let mut instance = module.instantiate(BUDGET).unwrap();
    let image = Image::take(instance.as_mut(), 1024).unwrap();
    let mut before = memory(instance.as_mut());
    let leave = instance.entry("leave", 0).unwrap();
    for _ in 0..2 {
        instance.call(leave, &[], BUDGET).unwrap();
        assert_ne!(memory(instance.as_mut())[..65_536], before[..65_536]);
        image.restore(instance.as_mut()).unwrap();
        let after = memory(instance.as_mut());
        before.resize(after.len(), 0);
        assert!(after == before);
    }
    assert_eq!(instance.memory_pages().unwrap(), 5);
    assert_eq!(instance.global("kept").unwrap(), 5);
}

#[test]
fn an_image_of_more_than_memory_is_refused() {
    let module = compile(&wat::parse_str(STATES).unwrap());
    let mut instance = module.instantiate(BUDGET).unwrap();
    assert!(Image::take(instance.as_mut(), 65_537).is_err());
    assert!(Image::take(instance.as_mut(), u32::MAX).is_err());
    assert!(Image::take(instance.as_mut(), 65_536).is_ok());
}
