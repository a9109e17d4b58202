//! What is asked about parameters: `kernel_init`, and descriptors that lie over their own.

use super::{Asked, FILL, PARAMS, SPAN, Stop, require};
use assay_worker::InstanceChoice;
use kernel_abi::{Descriptor, PAGE_BYTES, Region, export};
use kernel_cases::{
    case::{Case, Entry},
    open::{self, Call},
};
use kernel_core::Kernel;
use runtime_call::{Digest, Invocation, Read, Write};
use std::collections::BTreeMap;

/// The highest heap base of which the native build is asked what is due: all below is memory to it too.
const HIGHEST: u32 = 1 << 20;

impl Asked<'_, '_> {
    /// `kernel_init` without parameters, with each struct of the cases, and with each word of one that is taken replaced: taken or refused as the
    /// definition does. Where no definition is, a struct is due what the entry made of it.
    pub(super) fn init(&mut self, cases: &[&Case]) -> Result<(), Stop> {
        for (params, length) in [(0, 0), (7, 0), (u32::MAX, 0)] {
            let answer = self.call(export::INIT, vec![params, length], None, (0, 0))?;
            require(answer.status == 0 && answer.untouched, || {
                format!(
                    "`kernel_init({params}, 0)` answered {} where 0 is due, or changed memory",
                    answer.status
                )
            })?;
        }
        let definition = self.exchange.subject.standard.definition;
        let of_cases = cases
            .iter()
            .filter(|case| case.tweaks.is_empty() && case.params.len() as u64 <= PARAMS)
            .filter(|case| {
                // What only the tensors of a case make wrong, nobody can know before there are any.
                let alone = |call: &Call| open::refuses(&call.contract, &case.params);
                let refused = case.expect == 3 && case.open.as_deref().is_none_or(alone);
                refused || case.expects_output()
            })
            .filter(|case| !case.params.is_empty());
        let mut structs: BTreeMap<Vec<u8>, i32> = of_cases
            .map(|case| (case.params.clone(), case.expect))
            .collect();
        if let Some(kernel) = definition {
            let taken = cases.iter().filter(|case| case.expects_output());
            let replaced = taken.take(1).flat_map(|case| replaced_words(&case.params));
            structs.extend(replaced.map(|params| (params, 0)));
            for (params, due) in &mut structs {
                *due = native_init(kernel, params);
            }
        }
        let structs: Vec<(Vec<u8>, i32)> = structs.into_iter().collect();
        for some in structs.chunks(SPAN as usize / PARAMS as usize - 1) {
            self.inits(some)?;
        }
        Ok(())
    }

    /// `kernel_init` with each of these structs, on one instance, at both ends of a memory that has a page more where it may, so that the last lie
    /// beyond 64 KiB.
    fn inits(&mut self, structs: &[(Vec<u8>, i32)]) -> Result<(), Stop> {
        let pages = match self.pages < self.exchange.subject.max_pages {
            true => self.pages + 1,
            false => self.pages,
        };
        let first = self.heap_base.next_multiple_of(16);
        let memory_end = u64::from(pages) * PAGE_BYTES;
        // A memory of 4 GiB ends at address 0.
        let last = (memory_end as u32).wrapping_sub(structs.len() as u32 * PARAMS as u32);
        let behind = u64::from(first) + structs.len() as u64 * PARAMS;
        if behind > memory_end {
            // The manifest allows no memory for them.
            return Ok(());
        }
        for start in [first, last] {
            let addresses = (start..).step_by(PARAMS as usize);
            let filled = (memory_end - u64::from(self.heap_base)) as u32;
            // Memory may be large: what it has to hold is hashed, and not made.
            let form = self.exchange.worker.digest_form();
            let mut due_memory = Digest::new(form);
            let mut hashed = u64::from(self.heap_base);
            let mut writes = vec![Write::Fill {
                at: self.heap_base,
                length: filled,
                fill: FILL,
            }];
            let mut calls = Vec::new();
            for (at, (params, _)) in addresses.zip(structs) {
                due_memory.repeat(FILL, u64::from(at) - hashed);
                due_memory.update(params);
                hashed = u64::from(at) + params.len() as u64;
                writes.push(Write::Bytes {
                    at,
                    bytes: params.clone(),
                });
                let arguments = vec![at, params.len() as u32];
                calls.push(self.exchange.call(export::INIT, arguments));
            }
            let reads = vec![Read {
                at: self.heap_base,
                length: filled,
                form,
            }];
            let invocation = Invocation {
                pages,
                writes,
                calls,
                reads,
            };
            let (returned, observation) = self
                .exchange
                .run(InstanceChoice::Fresh, invocation)
                .map_err(Stop::Ended)?;
            for (status, (params, due)) in returned.iter().zip(structs) {
                require(status == due, || {
                    let bytes = hex::encode(params);
                    format!(
                        "`kernel_init` with parameters {bytes} answered {status} where {due} is due"
                    )
                })?;
            }
            due_memory.repeat(FILL, memory_end - hashed);
            let digest = due_memory.finish();
            let untouched = observation
                .reads
                .first()
                .is_some_and(|read| read.0 == digest);
            require(untouched, || "`kernel_init` changed memory".to_owned())?;
        }
        Ok(())
    }

    /// `kernel_init` with parameters that lie where no region may, or have a length that they do not have.
    pub(super) fn misplaced_init(&mut self, cases: &[&Case]) -> Result<(), Stop> {
        let taken = |case: &&&Case| case.expects_output() && case.tweaks.is_empty();
        let Some(case) = cases.iter().find(taken) else {
            return Ok(());
        };
        let params = case.params.as_slice();
        let length = params.len() as u32;
        let at = self.heap_base.next_multiple_of(16);
        let inside = (at, params);
        // Where there are no parameters, their address means nothing: that any is taken is asked with the structs.
        if length > 0 {
            self.refused_init(inside, (at, length), 0)?;
            for by in [1, 2, 4, 8] {
                let moved = (at + by, params);
                self.refused_init(moved, (at + by, length), 1)?;
            }
            let last = self.end.wrapping_sub(length.next_multiple_of(16));
            self.refused_init((last, params), (last, length), 0)?;
            let outside = [
                last.wrapping_add(16),
                self.end,
                u32::MAX - 15,
                0,
                at.wrapping_sub(16),
            ];
            for outside in outside {
                if outside < at && u64::from(outside) + 16 > u64::from(self.heap_base) {
                    continue;
                }
                self.refused_init(inside, (outside, length), 1)?;
            }
        }
        for wrong in wrong_lengths(length) {
            self.refused_init(inside, (at, wrong), 3)?;
        }
        Ok(())
    }

    fn refused_init(
        &mut self,
        written: (u32, &[u8]),
        (at, length): (u32, u32),
        due: i32,
    ) -> Result<(), Stop> {
        let answer = self.call(export::INIT, vec![at, length], Some(written), (0, 0))?;
        let what = || {
            let bytes = hex::encode(written.1);
            format!(
                "`kernel_init({at}, {length})` with parameters {bytes} at {}",
                written.0
            )
        };
        require(answer.status == due, || {
            format!("{} answered {} where {due} is due", what(), answer.status)
        })?;
        require(answer.untouched, || format!("{} changed memory", what()))
    }

    /// Descriptors that lie over their own parameters, so that their words are read as such: what is due, the definition says. Other people's
    /// kernels need have no `gradient`.
    pub(super) fn own_parameters(&mut self, cases: &[&Case], gradient: bool) -> Result<(), Stop> {
        let standard = &self.exchange.subject.standard;
        let Some(kernel) = standard.definition else {
            return Ok(());
        };
        let has_backward = self.exchange.subject.has_backward && (gradient || standard.same_source);
        let taken = cases
            .iter()
            .filter(|case| case.expects_output() && case.tweaks.is_empty())
            .filter(|case| case.params.len() as u64 <= PARAMS);
        let Some(case) = taken.min_by_key(|case| case.params.len()) else {
            return Ok(());
        };
        // The parameters, then the descriptor, whose regions all have 64 bytes and lie behind it.
        let at = self.heap_base.next_multiple_of(16);
        if u64::from(at) + SPAN > u64::from(self.pages) * PAGE_BYTES || at > HIGHEST {
            return Ok(());
        }
        let address = at + PARAMS as u32;
        let region = |number: u32| Region::new(address + 64 * number, 64);
        for by in [-32, -16, 0, 16, 32] {
            let start = address.wrapping_add_signed(by);
            let descriptor = Descriptor {
                input_a: region(1),
                input_b: region(2),
                output: region(3),
                scratch: region(4),
                params: Region::new(start, case.params.len() as u32),
            };
            let mut bytes = vec![FILL; 2 * PARAMS as usize + Descriptor::SIZE];
            bytes[(start - at) as usize..][..case.params.len()].copy_from_slice(&case.params);
            bytes[PARAMS as usize..][..Descriptor::SIZE].copy_from_slice(&descriptor.to_le_bytes());
            for entry in [Entry::Forward, Entry::Backward] {
                if entry == Entry::Backward && !has_backward {
                    continue;
                }
                let due = native_entry(kernel, entry, (at, &bytes), address);
                // What is taken writes an output, which is for the cases to judge.
                if due == 0 {
                    continue;
                }
                let export = self.exchange.subject.export(entry).to_owned();
                let answer = self.call(&export, vec![address], Some((at, &bytes)), (0, 0))?;
                require(answer.status == due, || {
                    format!(
                        "`{export}` answered {} where its parameters lie {by} bytes from the descriptor's begin, over it; {due} is due",
                        answer.status
                    )
                })?;
                require(answer.untouched, || {
                    format!("`{export}` refused parameters over its descriptor and changed memory")
                })?;
            }
        }
        Ok(())
    }
}

/// Lengths of parameters that are refused where a struct has this one. None is 0, with which nothing is read.
fn wrong_lengths(length: u32) -> Vec<u32> {
    let mut wrong = vec![1, length.saturating_sub(1), length + 1, u32::MAX];
    wrong.retain(|wrong| *wrong != 0 && *wrong != length);
    wrong.sort_unstable();
    wrong.dedup();
    wrong
}

/// What the native build of the same source says of parameters that lie where they may.
fn native_init(kernel: &Kernel, params: &[u8]) -> i32 {
    const AT: usize = 16;
    let mut memory = vec![0; AT + PARAMS as usize];
    memory[AT..][..params.len()].copy_from_slice(params);
    let at = AT as u32;
    kernel.init(&mut memory, at, at, params.len() as u32).0
}

/// What the native build of the same source makes of a call with `bytes` at an address and [`FILL`] behind them.
fn native_entry(kernel: &Kernel, entry: Entry, (at, bytes): (u32, &[u8]), address: u32) -> i32 {
    let mut memory = vec![FILL; at as usize + SPAN as usize];
    memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
    let status = match entry {
        Entry::Forward => kernel.forward(&mut memory, at, address),
        Entry::Backward => kernel.backward(&mut memory, at, address),
    };
    status.0
}

/// A parameter struct with each word in turn replaced by those where checks and loads of other widths differ.
fn replaced_words(params: &[u8]) -> Vec<Vec<u8>> {
    const WORDS: [u32; 24] = [
        0,
        1,
        2,
        3,
        31,
        32,
        48,
        0xff,
        0x100,
        0xffff,
        0x1_0000,
        0xff_ffff,
        0x100_0000,
        0x7fff_ffff,
        0x8000_0000,
        0x8000_0001,
        0xffff_ffff,
        0x0080_0000,
        0x3f80_0000,
        0xbf80_0000,
        0x7f7f_ffff,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
    ];
    let places = 0..params.len() / 4;
    let replaced = places.flat_map(|place| {
        WORDS.map(|word| {
            let mut params = params.to_vec();
            params[4 * place..][..4].copy_from_slice(&word.to_le_bytes());
            params
        })
    });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use super::wrong_lengths;

    #[test]
    fn no_wrong_length_is_the_own_one_or_none() {
        assert_eq!(wrong_lengths(0), [1, u32::MAX]);
        assert_eq!(wrong_lengths(1), [2, u32::MAX]);
        assert_eq!(wrong_lengths(20), [1, 19, 21, u32::MAX]);
    }
}
