//! Linear memory as the host sees it.

use super::{Check, Subject, Verdict, call, require, require_equal, require_error};
use crate::{Budget, Error, Instance};

const PAGE: u32 = 65_536;

const MODULE: &str = r#"(module
  (memory (export "memory") 2)
  (data (i32.const 8) "\01\02\03\04")
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "store") (param i32 i32) (result i32)
    (i32.store (local.get 0) (local.get 1)) (i32.const 0))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size)))"#;

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new("memory.read-write", &[], read_write),
        Check::new("memory.bounds", &[], bounds),
        Check::new("memory.in-place", &[], in_place),
        Check::new("memory.in-place.bounds", &[], in_place_bounds),
        Check::new("memory.grow-from-host", &[], grow_from_host),
        Check::new("memory.grow-from-inside", &[], grow_from_inside),
        Check::new("memory.per-instance", &[], per_instance),
        Check::new("memory.thousand-instances", &[], thousand_instances),
    ]
}

fn read_write(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance(MODULE)?;
    require_equal("pages", instance.memory_pages()?, 2)?;
    require_equal("data segment", word(&mut *instance, 8)?, 0x0403_0201)?;
    instance.write(PAGE - 2, &[0xdd, 0xcc, 0xbb, 0xaa])?;
    let inside = call(&mut *instance, "load", &[PAGE - 2])?;
    require_equal("host to wasm", inside as u32, 0xaabb_ccdd)?;
    call(&mut *instance, "store", &[100, 0x1234_5678])?;
    require_equal("wasm to host", word(&mut *instance, 100)?, 0x1234_5678)?;
    instance.write(2 * PAGE - 1, &[9])?;
    let mut last = [0];
    instance.read(2 * PAGE - 1, &mut last)?;
    require_equal("last byte", last, [9])?;
    let whole: Vec<u8> = (0..2 * PAGE).map(|at| (at % 251) as u8).collect();
    instance.write(0, &whole)?;
    let mut back = vec![0; whole.len()];
    instance.read(0, &mut back)?;
    require(back == whole, || {
        "the whole memory does not read back".to_owned()
    })?;
    instance.read(2 * PAGE, &mut [])?;
    instance.write(2 * PAGE, &[])?;
    Ok(())
}

fn bounds(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance(MODULE)?;
    let memory_bytes = u64::from(2 * PAGE);
    for (at, length) in [
        (2 * PAGE, 1),
        (2 * PAGE - 1, 2),
        (2 * PAGE - 3, 4),
        (u32::MAX, 1),
        (u32::MAX, 4096),
        (u32::MAX - 7, 16),
        (0, 2 * PAGE as usize + 1),
    ] {
        let expected = Error::Access {
            at,
            length: length as u64,
            memory_bytes,
        };
        let ones = vec![0xff; length];
        let error = require_error("write outside", instance.write(at, &ones))?;
        require_equal("write outside", error, expected.clone())?;
        let mut into = vec![0x55; length];
        let error = require_error("read outside", instance.read(at, &mut into))?;
        require_equal("read outside", error, expected)?;
    }
    let mut tail = [0xee; 8];
    instance.read(2 * PAGE - 8, &mut tail)?;
    require_equal("the last bytes after refused writes", tail, [0; 8])?;
    require_equal(
        "the first bytes after refused writes",
        word(&mut *instance, 0)?,
        0,
    )
}

fn in_place(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance(MODULE)?;
    let mut seen = Vec::new();
    let mut runs = 0;
    instance.with_memory(6, 8, &mut |bytes| {
        runs += 1;
        seen.extend_from_slice(bytes);
        bytes[3..5].copy_from_slice(&[0x55, 0x66]);
    })?;
    require_equal("runs", runs, 1)?;
    require_equal("what was there", seen, vec![0, 0, 1, 2, 3, 4, 0, 0])?;
    // Bytes that were not written stay, inside and outside.
    let inside = call(&mut *instance, "load", &[8])?;
    require_equal("host to wasm", inside as u32, 0x0466_5501)?;
    require_equal("read back", word(&mut *instance, 8)?, 0x0466_5501)?;
    call(&mut *instance, "store", &[100, 0x1234_5678])?;
    let mut word_inside = [0; 4];
    instance.with_memory(100, 4, &mut |bytes| word_inside.copy_from_slice(bytes))?;
    require_equal("wasm to host", u32::from_le_bytes(word_inside), 0x1234_5678)?;

    // Memory may move when it grows, from either side: the next access finds it where it is.
    for grows_inside in [false, true] {
        let pages = instance.memory_pages()?;
        if grows_inside {
            call(&mut *instance, "grow", &[100])?;
        } else {
            instance.grow(100)?;
        }
        let last = (pages + 100) * PAGE - 4;
        instance.with_memory(last, 4, &mut |bytes| bytes.copy_from_slice(&[9, 0, 0, 0]))?;
        require_equal("new page", call(&mut *instance, "load", &[last])?, 9)?;
        let kept = call(&mut *instance, "load", &[8])?;
        require_equal("kept", kept as u32, 0x0466_5501)?;
    }
    let mut whole = 0;
    instance.with_memory(0, 202 * PAGE, &mut |bytes| whole = bytes.len())?;
    require_equal("whole memory", whole, 202 * PAGE as usize)
}

fn in_place_bounds(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance(MODULE)?;
    let mut ran = false;
    for (at, length) in [
        (2 * PAGE, 1),
        (2 * PAGE - 3, 4),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
        (0, u32::MAX),
        (0, 2 * PAGE + 1),
    ] {
        let result = instance.with_memory(at, length, &mut |_| ran = true);
        let expected = Error::Access {
            at,
            length: length.into(),
            memory_bytes: (2 * PAGE).into(),
        };
        require_equal(
            "outside",
            require_error("in place outside", result)?,
            expected,
        )?;
    }
    let mut bare = subject.instance(r#"(module (memory (export "other") 1))"#)?;
    let error = require_error("no memory", bare.with_memory(0, 1, &mut |_| ran = true))?;
    require(matches!(error, Error::Export { .. }), || {
        format!("no memory: {error:?} instead of Error::Export")
    })?;
    require(!ran, || "it ran on bytes that are not there".to_owned())?;
    let mut lengths = Vec::new();
    instance.with_memory(2 * PAGE, 0, &mut |bytes| lengths.push(bytes.len()))?;
    instance.with_memory(2 * PAGE - 1, 1, &mut |bytes| lengths.push(bytes.len()))?;
    require_equal("lengths", lengths, vec![0, 1])
}

fn grow_from_host(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance(MODULE)?;
    instance.write(4, &[7])?;
    instance.grow(3)?;
    require_equal("pages", instance.memory_pages()?, 5)?;
    require_equal("size inside", call(&mut *instance, "size", &[])?, 5)?;
    require_equal("kept", word(&mut *instance, 4)?, 7)?;
    require_equal("new bytes", word(&mut *instance, 5 * PAGE - 4)?, 0)?;
    instance.write(5 * PAGE - 4, &[1, 0, 0, 0])?;
    let inside = call(&mut *instance, "load", &[5 * PAGE - 4])?;
    require_equal("new page inside", inside, 1)?;
    instance.grow(0)?;
    require_equal("pages after growing by 0", instance.memory_pages()?, 5)
}

fn grow_from_inside(subject: &Subject<'_>) -> Verdict {
    let mut instance = subject.instance(MODULE)?;
    require_equal("previous size", call(&mut *instance, "grow", &[200])?, 2)?;
    require_equal("pages", instance.memory_pages()?, 202)?;
    instance.write(202 * PAGE - 4, &[3, 0, 0, 0])?;
    let inside = call(&mut *instance, "load", &[202 * PAGE - 4])?;
    require_equal("new page", inside, 3)?;
    require_equal("kept", word(&mut *instance, 8)?, 0x0403_0201)
}

fn per_instance(subject: &Subject<'_>) -> Verdict {
    let module = subject.module(MODULE)?;
    let mut first = module.instantiate(Budget::None)?;
    let mut second = module.instantiate(Budget::None)?;
    first.write(0, &[0xff; 64])?;
    first.grow(1)?;
    require_equal("second", word(&mut *second, 0)?, 0)?;
    require_equal("segment of the second", word(&mut *second, 8)?, 0x0403_0201)?;
    require_equal("pages of the second", second.memory_pages()?, 2)?;
    drop(first);
    let mut third = module.instantiate(Budget::None)?;
    require_equal("third", word(&mut *third, 0)?, 0)?;
    require_equal("segment of the third", word(&mut *third, 8)?, 0x0403_0201)?;
    // The module may go before its instances.
    drop(module);
    require_equal(
        "after the module",
        call(&mut *third, "load", &[8])?,
        0x0403_0201,
    )
}

fn thousand_instances(subject: &Subject<'_>) -> Verdict {
    let module = subject.module(MODULE)?;
    for round in 0..1000 {
        let mut instance = module.instantiate(Budget::None)?;
        require_equal("fresh memory", call(&mut *instance, "load", &[0])?, 0)?;
        instance.write(0, &[0xff; 4096])?;
        call(&mut *instance, "store", &[PAGE, round])?;
        require_equal("stored", word(&mut *instance, PAGE)?, round)?;
    }
    Ok(())
}

fn word(instance: &mut dyn Instance, at: u32) -> crate::Result<u32> {
    let mut bytes = [0; 4];
    instance.read(at, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
