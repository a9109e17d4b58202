use crate::{Fill, Frame, PlaceError, Tensors, frame::Violation};
use kernel_abi::Status;
use runtime_api::{Budget, Entry, Error, Instance, Trap};

/// How a kernel call ended other than well. Non-fatal: the instance is dropped and a fresh one made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The tensors do not fit the kernel's memory.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The engine stopped the call.
    #[error(transparent)]
    Engine(#[from] Error),
    /// The kernel answered a status that is not OK, or wrote where it must not.
    #[error("run the kernel: {0}")]
    Kernel(Trap),
}

impl From<Violation> for CallError {
    fn from(violation: Violation) -> Self {
        CallError::Kernel(Trap::ContractViolation {
            what: violation.to_string(),
        })
    }
}

/// Calls a kernel's forward or backward entry: places the tensors at and above `heap_base`, grows memory as
/// needed up to `max_pages`, calls under `budget`, checks the frame and returns the output's bytes.
///
/// # Errors
/// [`CallError`]; after an engine error the instance must be dropped.
pub fn call(
    instance: &mut dyn Instance,
    entry: Entry,
    tensors: &Tensors<'_>,
    heap_base: u32,
    max_pages: u32,
    budget: Budget,
) -> Result<Vec<u8>, CallError> {
    exchange(instance, None, entry, tensors, heap_base, max_pages, budget)
}

/// As [`call`], after `kernel_init` with the parameters where an entry is given for it.
pub(crate) fn exchange(
    instance: &mut dyn Instance,
    init: Option<Entry>,
    entry: Entry,
    tensors: &Tensors<'_>,
    heap_base: u32,
    max_pages: u32,
    budget: Budget,
) -> Result<Vec<u8>, CallError> {
    let frame = Frame::place(tensors, heap_base, max_pages, Fill::FIRST)?;
    let pages = instance.memory_pages()?;
    if pages < frame.pages() {
        instance.grow(frame.pages() - pages)?;
    }
    instance.write(frame.start(), frame.image())?;
    if let Some(init) = init {
        let params = frame.placed().params;
        let status = instance.call(init, &[params.offset, params.size], budget)?;
        if !Status(status).is_ok() {
            return Err(CallError::Kernel(Trap::KernelStatus { code: status }));
        }
    }
    let status = Status(instance.call(entry, &[frame.descriptor_address()], budget)?);
    let mut after = vec![0; frame.image().len()];
    instance.read(frame.start(), &mut after)?;
    frame.check(&after, status.is_ok())?;
    if !status.is_ok() {
        return Err(CallError::Kernel(Trap::KernelStatus { code: status.0 }));
    }
    Ok(frame.output(&after).to_vec())
}
