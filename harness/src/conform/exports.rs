//! The exports beside the entries, and descriptors that cannot be read: what is asked of the module itself, for which no tensors are
//! placed. Each question goes to a fresh instance, whose memory at and above the heap base holds one byte, and may change nothing else.

mod parameters;

use super::{
    observe::{Ended, Exchange, same_size},
    placement::{Place, digest_of},
    subject::{self, Placed},
};
use assay_worker::InstanceChoice;
use kernel_abi::{
    ABI_VERSION, Descriptor, FLAG_HAS_BACKWARD, KernelInfo, PAGE_BYTES, Status, export,
};
use kernel_cases::case::{Case, Entry};
use runtime_call::{Digest, Form, Invocation, Read, Write};

/// What memory holds.
const FILL: u8 = 0xB3;
/// Bytes that one thing asked here needs, at most; memory has so many.
const SPAN: u64 = 4096;
/// Calls that a gradient is asked for which there is none of.
const DENIED: usize = 4;
/// The largest parameter struct and its surroundings.
const PARAMS: u64 = 64;

/// What the module says of itself.
pub(super) struct Says {
    /// Whether there is a gradient.
    pub(super) gradient: bool,
}

/// What a fresh instance says that it is.
pub(crate) struct Identity {
    info: [u8; KernelInfo::SIZE],
    name: Vec<u8>,
}

impl Identity {
    /// Where the name lies.
    pub(super) fn name_span(&self) -> (u32, u32) {
        let info = KernelInfo::from_le_bytes(&self.info);
        (info.name_ptr, info.name_len)
    }

    /// Whether it is what another call said.
    pub(super) fn is(&self, info: &[u8], name: &[u8]) -> bool {
        (&self.info[..], &self.name[..]) == (info, name)
    }
}

/// What a fresh instance says that it is, whatever that is worth: [`observe`] judges it. `None` where it says nothing that can be read.
pub(super) fn identity(exchange: &mut Exchange<'_>) -> Option<Identity> {
    let mut asked = Asked::new(exchange);
    let out = asked.heap_base.next_multiple_of(4);
    let size = KernelInfo::SIZE as u32;
    let answer = asked
        .call(export::INFO, vec![out], None, (out, size))
        .ok()?;
    let info: [u8; KernelInfo::SIZE] = answer.bytes.try_into().ok()?;
    let name = asked.name(&KernelInfo::from_le_bytes(&info)).ok()?;
    Some(Identity { info, name })
}

/// Asks all of it.
///
/// # Errors
/// What is wrong, or how a call ended that did not return.
pub(super) fn observe(exchange: &mut Exchange<'_>, cases: &[&Case]) -> Result<Says, Stop> {
    Asked::new(exchange).all(cases)
}

/// Why nothing more is asked.
pub(super) enum Stop {
    Wrong(String),
    Ended(Ended),
}

struct Asked<'a, 'b> {
    exchange: &'a mut Exchange<'b>,
    heap_base: u32,
    pages: u32,
    /// First address after memory; a memory of 4 GiB ends at address 0.
    end: u32,
}

/// What came of one call.
struct Answer {
    status: i32,
    /// The bytes that were asked for.
    bytes: Vec<u8>,
    /// Whether all else at and above the heap base is what it was.
    untouched: bool,
}

impl<'a, 'b> Asked<'a, 'b> {
    fn new(exchange: &'a mut Exchange<'b>) -> Self {
        let subject = exchange.subject;
        let needed = (u64::from(subject.heap_base) + SPAN).div_ceil(PAGE_BYTES);
        // No more than the manifest allows: what does not fit then is not asked.
        let pages = subject
            .minimum_pages
            .max(u32::try_from(needed).unwrap_or(u32::MAX))
            .min(subject.max_pages.max(subject.minimum_pages));
        Self {
            heap_base: subject.heap_base,
            pages,
            end: (u64::from(pages) * PAGE_BYTES) as u32,
            exchange,
        }
    }

    fn all(&mut self, cases: &[&Case]) -> Result<Says, Stop> {
        let gradient = self.info()?;
        self.refused_info()?;
        self.init(cases)?;
        self.misplaced_init(cases)?;
        self.descriptors(gradient)?;
        self.own_parameters(cases, gradient)?;
        if self.exchange.subject.has_backward && !gradient {
            self.denied(cases)?;
        }
        Ok(Says { gradient })
    }

    /// Calls an export on a fresh instance, with `written` in memory, and reads `length` bytes at `at`, which may have changed.
    fn call(
        &mut self,
        export: &str,
        arguments: Vec<u32>,
        written: Option<(u32, &[u8])>,
        (at, length): (u32, u32),
    ) -> Result<Answer, Stop> {
        let memory_end = u64::from(self.pages) * PAGE_BYTES;
        let from = self.heap_base;
        let filled = (memory_end - u64::from(from).min(memory_end)) as u32;
        let mut writes = vec![Write::Fill {
            at: from,
            length: filled,
            fill: FILL,
        }];
        if let Some((at, bytes)) = written {
            writes.push(Write::Bytes {
                at,
                bytes: bytes.to_vec(),
            });
        }
        // Three pieces: before what may change, that, and behind it. Written parameters are put in again where they lie.
        let digest = self.exchange.worker.digest_form();
        let read = |at: u32, length: u32, form| Read { at, length, form };
        let (at, length) = if length == 0 { (from, 0) } else { (at, length) };
        let before = at.saturating_sub(from);
        let behind = (memory_end - u64::from(at) - u64::from(length)) as u32;
        let reads = [
            read(at, length, Form::Bytes),
            read(from.min(at), before, digest),
            read(at.wrapping_add(length), behind, digest),
        ];
        let invocation = Invocation {
            pages: self.pages,
            writes,
            calls: vec![self.exchange.call(export, arguments)],
            reads: reads
                .iter()
                .copied()
                .filter(|read| read.length > 0)
                .collect(),
        };
        let (returned, observation) = self
            .exchange
            .run(InstanceChoice::Fresh, invocation)
            .map_err(Stop::Ended)?;
        same_size(self.pages, observation.pages)
            .map_err(|what| Stop::Wrong(format!("`{export}`: {what}")))?;
        let mut found = observation.reads.into_iter().map(|read| read.0);
        let mut next = |read: &Read| match read.length {
            0 => Vec::new(),
            _ => found.next().unwrap_or_default(),
        };
        let bytes = next(&reads[0]);
        let untouched = reads[1..].iter().all(|read| {
            let expected = match written {
                Some((written, bytes)) => digest_with(read, written, bytes),
                None => digest_of(read.form, FILL, read.length),
            };
            let digest = next(read);
            read.length == 0 || digest == expected
        });
        Ok(Answer {
            status: returned[0],
            bytes,
            untouched,
        })
    }

    /// `kernel_info` wherever it may write: every field, and nothing beyond its 20 bytes.
    /// Gives whether it states a gradient.
    fn info(&mut self) -> Result<bool, Stop> {
        let size = KernelInfo::SIZE as u32;
        let first = self.heap_base.next_multiple_of(4);
        let mut seen: Option<[u8; KernelInfo::SIZE]> = None;
        for out in [
            first.next_multiple_of(16),
            first,
            first + 36,
            self.end - size,
        ] {
            let answer = self.call(export::INFO, vec![out], None, (out, size))?;
            require(answer.status == 0, || {
                format!(
                    "`kernel_info` answered {} at address {out} where 0 is due",
                    answer.status
                )
            })?;
            require(answer.untouched, || {
                format!("`kernel_info` changed memory beside the {size} bytes at address {out}")
            })?;
            let Ok(bytes) = <[u8; KernelInfo::SIZE]>::try_from(answer.bytes) else {
                return Err(Stop::Wrong(
                    "what `kernel_info` wrote could not be read back".to_owned(),
                ));
            };
            let before = *seen.get_or_insert(bytes);
            require(before == bytes, || {
                format!("`kernel_info` states something else at address {out} than elsewhere")
            })?;
        }
        let Some(bytes) = seen else { return Ok(false) };
        self.fields(&KernelInfo::from_le_bytes(&bytes))
    }

    fn fields(&mut self, info: &KernelInfo) -> Result<bool, Stop> {
        let id = self.exchange.subject.named.clone();
        require(info.name_len as usize == id.len(), || {
            format!(
                "`kernel_info` states a name of {} bytes, the id has {}",
                info.name_len,
                id.len()
            )
        })?;
        require(
            u64::from(info.name_ptr) + u64::from(info.name_len)
                <= u64::from(self.pages) * PAGE_BYTES,
            || {
                format!(
                    "`kernel_info` states a name at {}, outside memory",
                    info.name_ptr
                )
            },
        )?;
        let name = self.name(info)?;
        require(name == id.as_bytes(), || {
            format!(
                "`kernel_info` states the name {:?}",
                String::from_utf8_lossy(&name)
            )
        })?;
        require(info.abi_version == ABI_VERSION, || {
            format!(
                "`kernel_info` states ABI version {} where {ABI_VERSION} is due",
                info.abi_version
            )
        })?;
        let exported = self.exchange.subject.has_backward;
        let stated = info.flags & FLAG_HAS_BACKWARD != 0;
        // What another source has is for its author to say.
        let standard = &self.exchange.subject.standard;
        let gradient = standard.gradient_due(exported).unwrap_or(stated);
        let flags = if gradient { FLAG_HAS_BACKWARD } else { 0 };
        require(info.flags == flags, || {
            format!(
                "`kernel_info` states flags {:#x} where {flags:#x} is due: this kernel {} a gradient",
                info.flags,
                if gradient { "has" } else { "has not" }
            )
        })?;
        require(exported || !stated, || {
            "`kernel_info` states a gradient, and there is no `kernel_backward`".to_owned()
        })?;
        Ok(gradient)
    }

    /// The name that a fresh instance states. It may lie below the heap base only, because what lies above is the host's and is overwritten.
    fn name(&mut self, info: &KernelInfo) -> Result<Vec<u8>, Stop> {
        let out = self.heap_base.next_multiple_of(16);
        let invocation = Invocation {
            pages: self.pages,
            writes: Vec::new(),
            calls: vec![self.exchange.call(export::INFO, vec![out])],
            reads: vec![Read {
                at: info.name_ptr,
                length: info.name_len,
                form: Form::Bytes,
            }],
        };
        let (_, observation) = self
            .exchange
            .run(InstanceChoice::Fresh, invocation)
            .map_err(Stop::Ended)?;
        let name = observation.reads.into_iter().next();
        Ok(name.map(|read| read.0).unwrap_or_default())
    }

    /// `kernel_info` where it may not write.
    fn refused_info(&mut self) -> Result<(), Stop> {
        let size = KernelInfo::SIZE as u32;
        let inside = self.heap_base.next_multiple_of(16) + 64;
        let below = (self.heap_base.next_multiple_of(4)).wrapping_sub(4);
        let last = self.end - size;
        let mut outs = vec![0, inside + 1, inside + 2, inside + 3, last + 4, last + 16];
        outs.extend([self.end, u32::MAX - 3, u32::MAX]);
        if below < self.heap_base {
            outs.push(below);
        }
        for out in outs {
            let answer = self.call(export::INFO, vec![out], None, (0, 0))?;
            require(answer.status == 2, || {
                format!(
                    "`kernel_info` answered {} at address {out}, where its {size} bytes may not lie; 2 is due",
                    answer.status
                )
            })?;
            require(answer.untouched, || {
                format!("`kernel_info` refused address {out} and changed memory")
            })?;
        }
        Ok(())
    }

    /// `kernel_backward` of a kernel that says it has no gradient: whatever it is passed, calls that the kernel takes too.
    fn denied(&mut self, cases: &[&Case]) -> Result<(), Stop> {
        let memory_end = u64::from(self.pages) * PAGE_BYTES;
        let subject = self.exchange.subject;
        let placed = cases.iter().filter(|case| case.expects_output());
        let placed = placed.filter_map(|case| {
            let place = Place::ordinary(case, subject);
            subject::place(case, subject, &place).ok()
        });
        let fits = |placed: &Placed| placed.frame.end() <= memory_end;
        let placed: Vec<Placed> = placed.filter(fits).take(DENIED).collect();
        let frames = placed.iter().map(|placed| {
            let frame = &placed.frame;
            (
                frame.descriptor_address(),
                Some((frame.start(), frame.image())),
            )
        });
        for (address, written) in frames.chain([(0, None)]) {
            let answer = self.call(export::BACKWARD, vec![address], written, (0, 0))?;
            require(answer.status == Status::NOT_IMPLEMENTED.0, || {
                format!(
                    "`kernel_info` states no gradient, and `{}` answered {} where {} is due",
                    export::BACKWARD,
                    answer.status,
                    Status::NOT_IMPLEMENTED.0
                )
            })?;
            require(answer.untouched, || {
                format!("`{}` of no gradient changed memory", export::BACKWARD)
            })?;
        }
        Ok(())
    }

    /// Descriptors that do not lie where a region may.
    fn descriptors(&mut self, gradient: bool) -> Result<(), Stop> {
        let first = self.heap_base.next_multiple_of(16);
        let mut addresses = vec![0, self.end.wrapping_sub(16)];
        addresses.extend([1, 2, 4, 8].map(|by| first + by));
        addresses.extend([self.end.wrapping_sub(32), self.end, u32::MAX - 15, u32::MAX]);
        if first.wrapping_sub(16) < self.heap_base {
            addresses.push(first - 16);
        }
        let forward = self.exchange.subject.export(Entry::Forward).to_owned();
        let entries = [Some(forward), gradient.then(|| export::BACKWARD.to_owned())];
        for entry in entries.into_iter().flatten() {
            for &address in &addresses {
                let answer = self.call(&entry, vec![address], None, (0, 0))?;
                require(answer.status == 1, || {
                    format!(
                        "`{entry}` answered {} to a descriptor at {address}, where its {} bytes may not lie; 1 is due",
                        answer.status,
                        Descriptor::SIZE
                    )
                })?;
                require(answer.untouched, || {
                    format!("`{entry}` refused a descriptor at {address} and changed memory")
                })?;
            }
        }
        Ok(())
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Stop> {
    if holds {
        Ok(())
    } else {
        Err(Stop::Wrong(otherwise()))
    }
}

/// A digest of a piece of memory that holds [`FILL`], and `bytes` at `written`.
fn digest_with(read: &Read, written: u32, bytes: &[u8]) -> Vec<u8> {
    let mut piece = vec![FILL; read.length as usize];
    for (address, byte) in (u64::from(written)..).zip(bytes) {
        let inside = address.checked_sub(read.at.into());
        if let Some(slot) = inside.and_then(|index| piece.get_mut(index as usize)) {
            *slot = *byte;
        }
    }
    Digest::of(read.form, &piece)
}
