use crate::{Fill, Frame, PlaceError, Tensors, frame::Violation};
use kernel_abi::{Region, Status};
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
    let frame = place(instance, tensors, heap_base, max_pages)?;
    run(instance, entry, &frame, budget)
}

/// Grows memory as needed and writes the tensors with their guard bands.
pub(crate) fn place(
    instance: &mut dyn Instance,
    tensors: &Tensors<'_>,
    heap_base: u32,
    max_pages: u32,
) -> Result<Frame, CallError> {
    let frame = Frame::place(tensors, heap_base, max_pages, Fill::FIRST)?;
    grow_to(instance, frame.pages())?;
    instance.write(frame.start(), frame.image())?;
    Ok(frame)
}

/// Grows memory to at least so many pages.
pub(crate) fn grow_to(instance: &mut dyn Instance, pages: u32) -> Result<(), Error> {
    match pages.checked_sub(instance.memory_pages()?) {
        Some(more) if more > 0 => instance.grow(more),
        _ => Ok(()),
    }
}

/// Calls `kernel_init` with parameters that were placed.
///
/// # Errors
/// [`CallError`]; the instance must be dropped then.
pub fn initialise(
    instance: &mut dyn Instance,
    init: Entry,
    params: Region,
    budget: Budget,
) -> Result<(), CallError> {
    accepted(instance.call(init, &[params.offset, params.size], budget)?)
}

/// Calls an entry on a frame that was placed, checks the frame and returns the output's bytes.
pub(crate) fn run(
    instance: &mut dyn Instance,
    entry: Entry,
    frame: &Frame,
    budget: Budget,
) -> Result<Vec<u8>, CallError> {
    let status = instance.call(entry, &[frame.descriptor_address()], budget)?;
    let mut after = vec![0; frame.image().len()];
    instance.read(frame.start(), &mut after)?;
    frame.check(&after, Status(status).is_ok())?;
    accepted(status)?;
    Ok(frame.output(&after).to_vec())
}

pub(crate) fn accepted(status: i32) -> Result<(), CallError> {
    if Status(status).is_ok() {
        Ok(())
    } else {
        Err(CallError::Kernel(Trap::KernelStatus { code: status }))
    }
}
