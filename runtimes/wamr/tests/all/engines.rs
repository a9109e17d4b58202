//! What the shared suite does not ask: that both engines compute alike, and what WAMR needs particular care for.

use runtime_api::{Budget, BudgetKind, Error, Limits, Options, Runtime, Stage, Trap};

type Opener = fn() -> Box<dyn Runtime>;

/// Each check, once for the interpreter and once for machine code.
macro_rules! of_both_engines {
    ($($check:ident)*) => {
        mod fast {
            $(#[test] fn $check() { super::$check(|| runtime_wamr::fast().unwrap()); })*
        }
        mod needs_wamrc {
            $(#[test] #[ignore = "needs assay-wamrc"] fn $check() { super::$check(crate::common::aot); })*
        }
    };
}

of_both_engines! {
    products_and_sums_are_not_contracted
    calls_without_loops_are_stopped
    recursion_ends_well_on_a_small_thread
    names_have_no_effect
}

fn options(metering: BudgetKind) -> Options {
    Options {
        limits: Limits::default(),
        metering,
    }
}

fn module(engine: &dyn Runtime, text: &str, metering: BudgetKind) -> Box<dyn runtime_api::Module> {
    let wasm = wat::parse_str(text).unwrap();
    engine.compile(&wasm, &options(metering)).unwrap()
}

/// Sums of products in f32 and f64, folded into one number.
const PRODUCTS: &str = r#"(module
  (func $next (param i32) (result i32)
    (i32.add (i32.mul (local.get 0) (i32.const 1664525)) (i32.const 1013904223)))
  (func $one_to_two (param i32) (result f32)
    (f32.reinterpret_i32 (i32.or (i32.shr_u (local.get 0) (i32.const 9)) (i32.const 0x3f800000))))
  (func (export "products") (param $seed i32) (param $rounds i32) (result i32)
    (local $fold i32) (local $a f32) (local $b f32) (local $c f32)
    (loop $again
      (local.set $a (call $one_to_two (local.tee $seed (call $next (local.get $seed)))))
      (local.set $b (call $one_to_two (local.tee $seed (call $next (local.get $seed)))))
      (local.set $c (call $one_to_two (local.tee $seed (call $next (local.get $seed)))))
      (local.set $fold (i32.add
        (i32.mul (local.get $fold) (i32.const 31))
        (i32.reinterpret_f32 (f32.sub (f32.mul (local.get $a) (local.get $b)) (local.get $c)))))
      (local.set $fold (i32.add
        (i32.mul (local.get $fold) (i32.const 31))
        (i32.wrap_i64 (i64.reinterpret_f64 (f64.sub
          (f64.div (f64.promote_f32 (local.get $a)) (f64.promote_f32 (local.get $b)))
          (f64.div (f64.promote_f32 (local.get $c)) (f64.promote_f32 (local.get $b))))))))
      (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (local.get $fold)))"#;

fn products(mut seed: u32, rounds: u32, product: fn(f32, f32, f32) -> f32) -> u32 {
    let mut fold = 0_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits(seed >> 9 | 0x3f80_0000)
    };
    for _ in 0..rounds {
        let (a, b, c) = (next(), next(), next());
        fold = fold
            .wrapping_mul(31)
            .wrapping_add(product(a, b, c).to_bits());
        let (a, b, c) = (f64::from(a), f64::from(b), f64::from(c));
        fold = fold
            .wrapping_mul(31)
            .wrapping_add((a / b - c / b).to_bits() as u32);
    }
    fold
}

fn products_and_sums_are_not_contracted(engine: Opener) {
    let apart = products(1, 1000, |a, b, c| a * b - c);
    let contracted = products(1, 1000, |a, b, c| a.mul_add(b, -c));
    assert_ne!(apart, contracted, "the series does not show contraction");
    let engine = engine();
    let module = module(&*engine, PRODUCTS, BudgetKind::None);
    let mut instance = module.instantiate(Budget::None).unwrap();
    let entry = instance.entry("products", 2).unwrap();
    let found = instance.call(entry, &[1, 1000], Budget::None).unwrap();
    assert_eq!(found as u32, apart, "{}", engine.info().id);
}

/// Recursion by calls alone, for longer than anybody waits, with no loop in which to look for the flag.
fn calls_without_loops_are_stopped(engine: Opener) {
    let text = r#"(module (func $tree (export "tree") (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
      (i32.add
        (call $tree (i32.sub (local.get 0) (i32.const 1)))
        (i32.xor (local.get 0) (call $tree (i32.sub (local.get 0) (i32.const 1)))))))"#;
    let engine = engine();
    let module = module(&*engine, text, BudgetKind::Epoch);
    let mut instance = module.instantiate(Budget::Epoch(100)).unwrap();
    let entry = instance.entry("tree", 1).unwrap();
    let result = instance.call(entry, &[60], Budget::Epoch(3));
    assert_eq!(
        result,
        Err(Error::trap(Stage::Call, Trap::EpochDeadline)),
        "{}",
        engine.info().id
    );
}

/// Machine code recurses on the caller's stack: less than the limit allows may be left of it.
fn recursion_ends_well_on_a_small_thread(engine: Opener) {
    let text = r#"(module (func $down (export "down") (param i32) (result i32)
      (i32.add (local.get 0) (call $down (i32.add (local.get 0) (i32.const 1))))))"#;
    let run = move || {
        let engine = engine();
        let module = module(&*engine, text, BudgetKind::None);
        for _ in 0..3 {
            let mut instance = module.instantiate(Budget::None).unwrap();
            let entry = instance.entry("down", 1).unwrap();
            let result = instance.call(entry, &[0], Budget::None);
            assert_eq!(
                result,
                Err(Error::trap(Stage::Call, Trap::StackOverflow)),
                "{}",
                engine.info().id
            );
        }
    };
    std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

/// Names by which WAMR would call functions, or take memory, by itself.
fn names_have_no_effect(engine: Opener) {
    let text = r#"(module
      (memory (export "memory") 2)
      (global $ran (export "ran") (mut i32) (i32.const 0))
      (global (export "__heap_base") i32 (i32.const 1024))
      (global (export "__data_end") i32 (i32.const 512))
      (global $stack (export "__stack_pointer") (mut i32) (i32.const 1024))
      (func (export "__post_instantiate") (global.set $ran (i32.const 1)))
      (func (export "__wasm_call_ctors") (global.set $ran (i32.const 2)))
      (func (export "_initialize") (global.set $ran (i32.const 3)))
      (func (export "malloc") (param i32) (result i32) unreachable)
      (func (export "free") (param i32) unreachable)
      (func (export "low") (result i32) (global.set $stack (i32.const 16)) (global.get $stack)))"#;
    let engine = engine();
    let module = module(&*engine, text, BudgetKind::None);
    let mut instance = module.instantiate(Budget::None).unwrap();
    assert_eq!(instance.global("ran"), Ok(0));
    assert_eq!(instance.global("__heap_base"), Ok(1024));
    assert_eq!(instance.memory_pages(), Ok(2));
    let low = instance.entry("low", 0).unwrap();
    assert_eq!(instance.call(low, &[], Budget::None), Ok(16));
    assert_eq!(instance.grow(3), Ok(()));
    assert_eq!(instance.memory_pages(), Ok(5));
}
