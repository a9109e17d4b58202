//! Tensors in place and batches of calls, on a real engine: a good kernel, and kernels that break the contract.

use runtime_api::{Budget, BudgetKind, Entry, Error, Instance, Limits, Options, Stage, Trap};
use runtime_call::{
    BatchError, CallError, Output, Placed, Sizes, Tensor, Tensors, call, call_batch,
};

const HEAP_BASE: u32 = 1024;
const MAX_PAGES: u32 = 4;
const BUDGET: Budget = Budget::Fuel(10_000_000);

/// A kernel that adds the first byte of the parameters to every byte of a into the output; it traps where that is 255, answers
/// status 3 where it is 254, and executes `before` otherwise. The descriptor is local 0; words are a at 0, a's size at 4, output at
/// 16, its size at 20, params at 32.
fn kernel(before: &str) -> (Box<dyn Instance>, Entry) {
    let text = format!(
        r#"(module (memory (export "memory") 1)
            (func (export "kernel_forward") (param $d i32) (result i32) (local $i i32) (local $add i32)
                (local.set $add (i32.load8_u (i32.load offset=32 (local.get $d))))
                (if (i32.eq (local.get $add) (i32.const 255)) (then unreachable))
                (if (i32.eq (local.get $add) (i32.const 254)) (then (return (i32.const 3))))
                {before}
                (block $end (loop $next
                    (br_if $end (i32.ge_u (local.get $i) (i32.load offset=4 (local.get $d))))
                    (i32.store8 (i32.add (i32.load offset=16 (local.get $d)) (local.get $i))
                        (i32.add (local.get $add)
                            (i32.load8_u (i32.add (i32.load (local.get $d)) (local.get $i)))))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br $next)))
                (i32.const 0)))"#
    );
    let options = Options {
        limits: Limits {
            max_memory_pages: MAX_PAGES,
            ..Limits::default()
        },
        metering: BudgetKind::Fuel,
    };
    let mut instance = runtime_wasmi::runtime()
        .unwrap()
        .compile(&wat::parse_str(text).unwrap(), &options)
        .unwrap()
        .instantiate(BUDGET)
        .unwrap();
    let entry = instance.entry("kernel_forward", 1).unwrap();
    (instance, entry)
}

fn sizes(elements: u32) -> Sizes {
    Sizes {
        a: elements,
        output: elements,
        scratch: 16,
        ..Sizes::default()
    }
}

/// Calls side by side, each with `elements` bytes that its producer counts from its index on.
fn place(instance: &mut dyn Instance, adds: &[u8], elements: u32) -> Vec<Placed> {
    let mut base = HEAP_BASE;
    adds.iter()
        .enumerate()
        .map(|(index, add)| {
            let placed =
                Placed::new(instance, &[*add; 4], sizes(elements), base, MAX_PAGES).unwrap();
            base = u32::try_from(placed.end()).unwrap();
            let mut fill = |bytes: &mut [u8]| {
                for (offset, byte) in bytes.iter_mut().enumerate() {
                    *byte = (index + offset) as u8;
                }
            };
            placed.with_tensor(instance, Tensor::A, &mut fill).unwrap();
            placed
        })
        .collect()
}

fn output(instance: &mut dyn Instance, placed: &Placed) -> Vec<u8> {
    let mut output = Vec::new();
    let mut take = |bytes: &mut [u8]| output.extend_from_slice(bytes);
    placed
        .with_tensor(instance, Tensor::Output, &mut take)
        .unwrap();
    output
}

#[test]
fn a_placed_call_gives_what_a_call_with_copies_gives() {
    // 40 000 bytes twice: memory grows for them.
    for elements in [1, 300, 40_000] {
        let (mut instance, entry) = kernel("");
        let placed = place(instance.as_mut(), &[7], elements).remove(0);
        placed.call(instance.as_mut(), entry, BUDGET).unwrap();
        let in_place = output(instance.as_mut(), &placed);

        let (mut instance, entry) = kernel("");
        let a: Vec<u8> = (0..elements).map(|byte| byte as u8).collect();
        let tensors = Tensors {
            params: &[7; 4],
            a: &a,
            b: &[],
            output: Output::Written(elements),
            scratch_size: 16,
        };
        let copied = call(
            instance.as_mut(),
            entry,
            &tensors,
            HEAP_BASE,
            MAX_PAGES,
            BUDGET,
        );
        assert_eq!(in_place, copied.unwrap());
    }
}

#[test]
fn an_absent_tensor_is_empty_and_what_does_not_fit_is_refused() {
    let (mut instance, _) = kernel("");
    let placed = place(instance.as_mut(), &[1], 8).remove(0);
    let mut lengths = Vec::new();
    let mut take = |bytes: &mut [u8]| lengths.push(bytes.len());
    placed
        .with_tensor(instance.as_mut(), Tensor::B, &mut take)
        .unwrap();
    assert_eq!(lengths, [0]);
    let large = Placed::new(instance.as_mut(), &[], sizes(200_000), HEAP_BASE, MAX_PAGES);
    assert!(matches!(large, Err(CallError::Place(_))));
    assert_eq!(instance.memory_pages().unwrap(), 1);
}

#[test]
fn a_batch_serves_all_of_its_calls() {
    let (mut instance, entry) = kernel("");
    let adds = [1, 2, 3, 4, 5];
    let placed = place(instance.as_mut(), &adds, 20);
    call_batch(instance.as_mut(), entry, &placed, BUDGET).unwrap();
    for (index, (placed, add)) in placed.iter().zip(adds).enumerate() {
        let expected: Vec<u8> = (0..20).map(|offset| (index + offset) as u8 + add).collect();
        assert_eq!(output(instance.as_mut(), placed), expected);
    }
    call_batch(instance.as_mut(), entry, &[], BUDGET).unwrap();
}

#[test]
fn a_batch_stops_at_a_status_and_at_a_trap() {
    let (mut instance, entry) = kernel("");
    let placed = place(instance.as_mut(), &[1, 254, 3], 4);
    let error = call_batch(instance.as_mut(), entry, &placed, BUDGET).unwrap_err();
    let status = CallError::Kernel(Trap::KernelStatus { code: 3 });
    assert_eq!(
        error,
        BatchError {
            index: 1,
            error: status
        }
    );
    assert_eq!(output(instance.as_mut(), &placed[0]), [1, 2, 3, 4]);
    assert_eq!(output(instance.as_mut(), &placed[2]), [0; 4]);

    let placed = place(instance.as_mut(), &[1, 2, 255], 4);
    let error = call_batch(instance.as_mut(), entry, &placed, BUDGET).unwrap_err();
    let trap = CallError::Engine(Error::trap(Stage::Call, Trap::Unreachable));
    assert_eq!(
        error,
        BatchError {
            index: 2,
            error: trap
        }
    );
    assert_eq!(
        error.to_string(),
        "serve call 2 of the batch: failed to call: Unreachable"
    );
}

#[test]
fn what_a_kernel_must_not_write_is_found_and_named() {
    for (before, zone) in [
        (
            "(i32.store8 (i32.sub (local.get $d) (i32.const 1)) (i32.const 0x99))",
            "guard band after the heap base",
        ),
        (
            "(i32.store8 (i32.add (i32.load offset=16 (local.get $d)) (i32.load offset=20 (local.get $d))) (i32.const 0x99))",
            "guard band after output",
        ),
        (
            "(i32.store8 offset=1 (i32.load offset=32 (local.get $d)) (i32.const 0x99))",
            "parameters",
        ),
        (
            "(i32.store offset=8 (local.get $d) (i32.const 0x99))",
            "descriptor",
        ),
        (
            "(i32.store8 offset=16 (i32.load offset=24 (local.get $d)) (i32.const 0x99))",
            "guard band after scratch",
        ),
    ] {
        let (mut instance, entry) = kernel(before);
        let placed = place(instance.as_mut(), &[1, 2], 16);
        let error = placed[0]
            .call(instance.as_mut(), entry, BUDGET)
            .unwrap_err();
        let CallError::Kernel(Trap::ContractViolation { what }) = error else {
            panic!("{zone}: {error}");
        };
        assert!(what.starts_with(&format!("{zone} changed")), "{what}");
        let batch = call_batch(instance.as_mut(), entry, &placed, BUDGET).unwrap_err();
        assert!(matches!(
            batch.error,
            CallError::Kernel(Trap::ContractViolation { .. })
        ));
    }
}
