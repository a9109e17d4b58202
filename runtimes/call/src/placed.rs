use crate::{
    CallError, PlaceError,
    call::{accepted, grow_to},
    frame::{Layout, Violation, guard_byte},
};
use kernel_abi::{Descriptor, PAGE_BYTES, Region, Status};
use runtime_api::{Budget, Entry, Error, Instance, Stage, Stopped, Trap};

/// Bytes of the regions of a call beside its parameters; 0 means absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// First input.
    pub a: u32,
    /// Second input.
    pub b: u32,
    /// The output.
    pub output: u32,
    /// Scratch.
    pub scratch: u32,
}

/// A tensor of a placed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tensor {
    /// First input.
    A,
    /// Second input.
    B,
    /// The output; filled before the call where a kernel updates it.
    Output,
}

/// A call whose regions lie in an instance's memory, with guard bands around them. Producers fill its inputs where they lie and
/// consumers read its output there, so that the host copies no tensor; once placed it is called as often as wanted.
///
/// After a call the guard bands, the descriptor and the parameters are compared. Inputs are not, nor the output of a call that
/// was refused: that takes the copy which is saved here. [`call`](crate::call()) compares all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    start: u32,
    /// Bytes from `start` to the end of the last guard band.
    length: u32,
    descriptor_address: u32,
    regions: Descriptor,
    fixed: Vec<Fixed>,
    /// The same bytes, those that touch joined: fewer to compare, and in memory's order.
    runs: Vec<Run>,
    /// What the runs hold, one after the other.
    expected: Box<[u8]>,
}

/// Bytes that no call may change, next to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    at: u32,
    length: u32,
}

/// Bytes that no call may change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fixed {
    zone: &'static str,
    at: u32,
    bytes: Vec<u8>,
}

/// A batch that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("serve call {index} of the batch: failed to {error}")]
pub struct BatchError {
    /// Which call, from 0; for a broken contract the one whose surroundings changed.
    pub index: usize,
    /// Why.
    pub error: CallError,
}

impl Placed {
    /// Lays a call out at and above `heap_base` in `instance`, whose memory grows as needed up to `max_pages`: writes guard bands,
    /// descriptor and parameters, and leaves the tensors as memory is there.
    ///
    /// # Errors
    /// [`CallError::Place`] if they need more memory than that, [`CallError::Engine`] if the engine refuses to grow.
    pub fn new(
        instance: &mut dyn Instance,
        params: &[u8],
        sizes: Sizes,
        heap_base: u32,
        max_pages: u32,
    ) -> Result<Self, CallError> {
        let bytes = [
            params.len() as u64,
            sizes.a.into(),
            sizes.b.into(),
            sizes.output.into(),
            sizes.scratch.into(),
        ];
        let Layout {
            descriptor_address,
            placed: regions,
            end,
        } = Layout::of(bytes, heap_base, max_pages)?;
        let length =
            u32::try_from(end - u64::from(heap_base)).map_err(|_| PlaceError::TooLarge {
                needed: end.div_ceil(PAGE_BYTES),
                limit: max_pages,
            })?;
        let fixed = fixed(heap_base, descriptor_address, &regions, params, end);
        let (runs, expected) = joined(&fixed);
        let placed = Self {
            start: heap_base,
            length,
            descriptor_address,
            runs,
            expected,
            fixed,
            regions,
        };
        placed.place(instance)?;
        Ok(placed)
    }

    /// Writes guard bands, descriptor and parameters once more, for another call was placed here meanwhile, or into another instance
    /// of the same module.
    ///
    /// # Errors
    /// [`CallError::Engine`] if the engine refuses to grow.
    pub fn place(&self, instance: &mut dyn Instance) -> Result<(), CallError> {
        grow_to(instance, self.end().div_ceil(PAGE_BYTES) as u32)?;
        for (at, bytes) in self.runs() {
            instance.write(at, bytes)?;
        }
        Ok(())
    }

    /// The runs with their bytes.
    #[inline]
    fn runs(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.runs.iter().scan(&*self.expected, |rest, run| {
            let bytes;
            (bytes, *rest) = rest.split_at_checked(run.length as usize)?;
            Some((run.at, bytes))
        })
    }

    /// First address after the last guard band, at most 2^32: the heap base of the next call to be placed beside this one.
    pub fn end(&self) -> u64 {
        u64::from(self.start) + u64::from(self.length)
    }

    /// What the kernel is called with.
    pub fn descriptor_address(&self) -> u32 {
        self.descriptor_address
    }

    /// Where the regions lie.
    pub fn regions(&self) -> &Descriptor {
        &self.regions
    }

    /// Lets `work` fill or read a tensor where it lies; an absent one is empty.
    ///
    /// # Errors
    /// Those of [`Instance::with_memory`]: for an instance that this was not placed in.
    pub fn with_tensor(
        &self,
        instance: &mut dyn Instance,
        tensor: Tensor,
        work: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), Error> {
        let region = match tensor {
            Tensor::A => self.regions.input_a,
            Tensor::B => self.regions.input_b,
            Tensor::Output => self.regions.output,
        };
        instance.with_memory(region.offset, region.size, work)
    }

    /// Lets `work` fill the tensors where they lie, in one look at memory: inputs that have bytes, and the output if the kernel updates it.
    ///
    /// # Errors
    /// As [`with_tensor`](Self::with_tensor).
    pub fn fill(
        &self,
        instance: &mut dyn Instance,
        updates: bool,
        work: &mut dyn FnMut(Tensor, &mut [u8]),
    ) -> Result<(), Error> {
        instance.with_memory(self.start, self.length, &mut |memory| {
            for (tensor, region) in self.tensors() {
                if region.size > 0 && (updates || tensor != Tensor::Output) {
                    work(tensor, &mut memory[self.range(region)]);
                }
            }
        })
    }

    /// Calls the kernel's entry under `budget`; its output then lies in [`Tensor::Output`].
    ///
    /// # Errors
    /// [`CallError`]; after an engine error the instance must be dropped.
    pub fn call(
        &self,
        instance: &mut dyn Instance,
        entry: Entry,
        budget: Budget,
    ) -> Result<(), CallError> {
        self.call_and_read(instance, entry, budget, &mut |_, _| true)
    }

    /// As [`call`](Self::call); then `work` reads the tensors that have bytes where they lie, the output last, in one look at memory. It answers whether
    /// a tensor is what it must be: what an input was before the call.
    ///
    /// # Errors
    /// As `call`; a contract violation where `work` says that a tensor changed.
    pub fn call_and_read(
        &self,
        instance: &mut dyn Instance,
        entry: Entry,
        budget: Budget,
        work: &mut dyn FnMut(Tensor, &[u8]) -> bool,
    ) -> Result<(), CallError> {
        let status = instance.call(entry, &[self.descriptor_address], budget)?;
        let is_ok = Status(status).is_ok();
        // Small: an error by itself is large, and to move it about costs short calls what they have no time for.
        let mut found = None;
        instance.with_memory(self.start, self.length, &mut |memory| {
            found = self.compare(memory);
            if found.is_some() || !is_ok {
                return;
            }
            for (tensor, region) in self.tensors() {
                if region.size > 0 && !work(tensor, &memory[self.range(region)]) {
                    found = Some(changed(tensor));
                    return;
                }
            }
        })?;
        match found {
            Some(error) => Err(*error),
            None => accepted(status),
        }
    }

    fn tensors(&self) -> [(Tensor, Region); 3] {
        [
            (Tensor::A, self.regions.input_a),
            (Tensor::B, self.regions.input_b),
            (Tensor::Output, self.regions.output),
        ]
    }

    /// Where a region lies in memory from `start` on.
    fn range(&self, region: Region) -> std::ops::Range<usize> {
        let from = (region.offset - self.start) as usize;
        from..from + region.size as usize
    }

    fn check(&self, instance: &mut dyn Instance) -> Result<(), CallError> {
        let mut found = None;
        instance.with_memory(self.start, self.length, &mut |memory| {
            found = self.compare(memory);
        })?;
        found.map_or(Ok(()), |error| Err(*error))
    }

    /// What of memory from `start` on must not have changed and did.
    #[inline]
    fn compare(&self, memory: &[u8]) -> Option<Box<CallError>> {
        let mut differs = false;
        for (at, bytes) in self.runs() {
            differs |= !is_same(self.part(memory, at, bytes.len()), bytes);
        }
        differs.then(|| self.first_change(memory))
    }

    #[cold]
    fn first_change(&self, memory: &[u8]) -> Box<CallError> {
        let mut fixed = self.fixed.iter();
        let found =
            fixed.find_map(|fixed| fixed.compare(self.part(memory, fixed.at, fixed.bytes.len())));
        // The runs are made of these, so there is one.
        Box::new(match found {
            Some(violation) => violation.into(),
            None => contract("something beside the tensors changed"),
        })
    }

    fn part<'m>(&self, memory: &'m [u8], at: u32, length: usize) -> &'m [u8] {
        let from = (at - self.start) as usize;
        &memory[from..from + length]
    }
}

/// Bytes that a compiler compares without a loop and without a call.
const WIDE: usize = 32;

/// Whether bytes are the same: for the tens to hundreds of a run quicker than the call of a library.
#[inline]
fn is_same(some: &[u8], others: &[u8]) -> bool {
    let (Some(last), Some(other_last)) = (some.last_chunk::<WIDE>(), others.last_chunk()) else {
        return some == others;
    };
    let whole = some.as_chunks::<WIDE>().0.iter().zip(others.as_chunks().0);
    // What is left after the whole ones lies in the last bytes. No way out early: nearly always all is the same.
    let same = whole.fold(last == other_last, |same, (some, others)| {
        same & (some == others)
    });
    same && some.len() == others.len()
}

#[cold]
fn changed(tensor: Tensor) -> Box<CallError> {
    let name = match tensor {
        Tensor::A => "input a",
        Tensor::B => "input b",
        Tensor::Output => "output",
    };
    Box::new(contract(&format!("{name} changed")))
}

fn contract(what: &str) -> CallError {
    CallError::Kernel(Trap::ContractViolation {
        what: what.to_owned(),
    })
}

/// Bytes that touch, as one, and all of them one after the other.
fn joined(fixed: &[Fixed]) -> (Vec<Run>, Box<[u8]>) {
    let mut sorted: Vec<&Fixed> = fixed.iter().collect();
    sorted.sort_by_key(|fixed| fixed.at);
    let (mut runs, mut expected) = (Vec::<Run>::new(), Vec::new());
    for fixed in sorted {
        // A call lies within 2^32 bytes.
        let length = fixed.bytes.len() as u32;
        match runs.last_mut() {
            Some(run) if u64::from(run.at) + u64::from(run.length) == u64::from(fixed.at) => {
                run.length += length;
            }
            _ => runs.push(Run {
                at: fixed.at,
                length,
            }),
        }
        expected.extend_from_slice(&fixed.bytes);
    }
    (runs, expected.into_boxed_slice())
}

impl Fixed {
    /// The first byte that changed.
    fn compare(&self, after: &[u8]) -> Option<Violation> {
        if after == self.bytes.as_slice() {
            return None;
        }
        let pairs = (self.at..).zip(self.bytes.iter().zip(after));
        let (address, (before, after)) = pairs
            .into_iter()
            .find(|(_, (before, after))| before != after)?;
        Some(Violation {
            zone: self.zone.to_owned(),
            address,
            before: *before,
            after: *after,
        })
    }
}

/// Calls an entry once for each of `placed`, in order: [`Instance::call_batch`]. Each call has `budget` for itself.
///
/// # Errors
/// Which call stopped the batch and why; after an engine error the instance must be dropped. Those before it are served.
pub fn call_batch(
    instance: &mut dyn Instance,
    entry: Entry,
    placed: &[Placed],
    budget: Budget,
) -> Result<(), BatchError> {
    let descriptors: Vec<u32> = placed.iter().map(|call| call.descriptor_address).collect();
    let stopped = match instance.call_batch(entry, &descriptors, budget) {
        Ok(()) => None,
        Err(Stopped {
            index,
            error:
                Error::Trap {
                    stage: Stage::Call,
                    trap: trap @ Trap::KernelStatus { .. },
                },
        }) => Some(BatchError {
            index,
            error: CallError::Kernel(trap),
        }),
        Err(Stopped { index, error }) => {
            let error = CallError::Engine(error);
            return Err(BatchError { index, error });
        }
    };
    for (index, call) in placed.iter().enumerate() {
        call.check(instance)
            .map_err(|error| BatchError { index, error })?;
    }
    stopped.map_or(Ok(()), Err)
}

/// The descriptor, the parameters, and the guard bands around all regions.
fn fixed(
    heap_base: u32,
    descriptor_address: u32,
    regions: &Descriptor,
    params: &[u8],
    end: u64,
) -> Vec<Fixed> {
    let descriptor = Region::new(descriptor_address, Descriptor::SIZE as u32);
    let named = [
        ("guard band after the heap base", Region::new(heap_base, 0)),
        ("guard band after descriptor", descriptor),
        ("guard band after parameters", regions.params),
        ("guard band after input a", regions.input_a),
        ("guard band after input b", regions.input_b),
        ("guard band after output", regions.output),
        ("guard band after scratch", regions.scratch),
    ];
    // Absent regions are nowhere; the others lie in this order.
    let present: Vec<_> = named
        .into_iter()
        .enumerate()
        .filter(|(index, (_, region))| *index == 0 || region.size > 0)
        .map(|(_, named)| named)
        .collect();
    let starts = present
        .iter()
        .skip(1)
        .map(|(_, region)| u64::from(region.offset))
        .chain([end]);
    let mut all: Vec<Fixed> = present
        .iter()
        .zip(starts)
        .map(|((zone, region), next)| Fixed {
            zone,
            // A last region is followed by a guard band: it ends below 2^32.
            at: region.end() as u32,
            bytes: (region.end()..next)
                .map(|address| guard_byte(address as u32))
                .collect(),
        })
        .collect();
    all.push(Fixed {
        zone: "descriptor",
        at: descriptor_address,
        bytes: regions.to_le_bytes().to_vec(),
    });
    if !params.is_empty() {
        all.push(Fixed {
            zone: "parameters",
            at: regions.params.offset,
            bytes: params.to_vec(),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn every_bit_of_every_length_counts() {
        for length in 0..=100_usize {
            let some: Vec<u8> = (0..length).map(|index| index as u8).collect();
            assert!(is_same(&some, &some.clone()), "{length}");
            for bit in 0..8 * length {
                let mut other = some.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!is_same(&some, &other), "{length} {bit}");
            }
            let mut longer = some.clone();
            longer.push(0);
            assert!(!is_same(&some, &longer) && !is_same(&longer, &some));
        }
    }
}
