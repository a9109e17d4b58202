//! An instance that serves calls, with the layouts of the calls that it served last.

use crate::terms::{Between, Terms};
use kernel_abi::export;
use runtime_api::{Entry, Instance};
use runtime_call::{CallError, Image, Placed, Sizes, Tensor, initialise};

/// Layouts kept: a model calls a kernel with a few shapes by turns.
const LAYOUTS: usize = 8;

/// What a call is about, beside the bytes of its tensors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) params: &'a [u8],
    pub(crate) sizes: Sizes,
    /// Whether the output is filled before the call.
    pub(crate) updates: bool,
}

/// Who fills tensors where they lie, and reads them there after the call.
pub(crate) trait Caller {
    /// Fills an input, or the output of a kernel that updates it.
    fn fill(&mut self, tensor: Tensor, bytes: &mut [u8]);
    /// Reads a tensor after the call, the output last: whether it is what it must be, which is what an input was before.
    fn read(&mut self, tensor: Tensor, bytes: &[u8]) -> bool;
}

/// An instance as a pool holds it: whether or not it may go from thread to thread.
pub(crate) trait Held {
    fn instance(&mut self) -> &mut dyn Instance;
}

impl Held for Box<dyn Instance> {
    fn instance(&mut self) -> &mut dyn Instance {
        self.as_mut()
    }
}

impl Held for Box<dyn Instance + Send> {
    fn instance(&mut self) -> &mut dyn Instance {
        self.as_mut()
    }
}

struct Layout {
    params: Box<[u8]>,
    sizes: Sizes,
    placed: Placed,
}

impl Layout {
    #[inline]
    fn fits(&self, shape: &Shape<'_>) -> bool {
        self.sizes == shape.sizes && *self.params == *shape.params
    }
}

/// An instance with what calls need of it.
pub(crate) struct Live<I> {
    instance: I,
    entry: Entry,
    /// Until it was called.
    init: Option<Entry>,
    /// Taken after `kernel_init`, where instances are reset.
    image: Option<Image>,
    layouts: Vec<Layout>,
    /// The layout that memory holds.
    current: Option<usize>,
    /// The layout that goes next, where all places are taken.
    oldest: usize,
}

impl<I: Held> Live<I> {
    /// Resolves what is called of a fresh instance.
    pub(crate) fn new(mut instance: I, terms: &Terms) -> Result<Self, CallError> {
        let init = Some(instance.instance().entry(export::INIT, 2)?);
        let entry = instance.instance().entry(&terms.entry, 1)?;
        Ok(Self {
            instance,
            entry,
            init,
            image: None,
            layouts: Vec::new(),
            current: None,
            oldest: 0,
        })
    }

    /// Serves a call. After an error the instance must be dropped, but for [`CallError::Place`]. Errors are boxed on the way that all calls go:
    /// to hand so many bytes on from function to function takes longer than most of what they do.
    pub(crate) fn serve(
        &mut self,
        terms: &Terms,
        shape: &Shape<'_>,
        caller: &mut dyn Caller,
    ) -> Result<(), Box<CallError>> {
        let index = self.layout(terms, shape)?;
        let placed = &self.layouts[index].placed;
        let instance = self.instance.instance();
        if let Some(init) = self.init {
            initialise(instance, init, placed.regions().params, terms.budget)?;
            self.init = None;
            if terms.between == Between::Reset {
                let image = Image::take(instance, terms.heap_base);
                self.image = Some(image.map_err(CallError::from)?);
            }
        }
        let filled = placed.fill(instance, shape.updates, &mut |tensor, bytes| {
            caller.fill(tensor, bytes)
        });
        filled.map_err(CallError::from)?;
        let read = &mut |tensor: Tensor, bytes: &[u8]| caller.read(tensor, bytes);
        Ok(placed.call_and_read(instance, self.entry, terms.budget, read)?)
    }

    /// Whether the instance may serve another caller after a call that ended so: it is made ready for one, where it is reset.
    pub(crate) fn goes_on(&mut self, terms: &Terms, served: &Result<(), Box<CallError>>) -> bool {
        match (served, terms.between, &self.image) {
            (Err(error), ..) => matches!(**error, CallError::Place(_)),
            (Ok(()), Between::Keep, _) => true,
            (Ok(()), Between::Reset, Some(image)) => {
                self.current = None;
                image.restore(self.instance.instance()).is_ok()
            }
            _ => false,
        }
    }

    /// The layout of a shape, in memory.
    fn layout(&mut self, terms: &Terms, shape: &Shape<'_>) -> Result<usize, Box<CallError>> {
        match self.current {
            Some(current) if self.layouts[current].fits(shape) => Ok(current),
            _ => Ok(self.another_layout(terms, shape)?),
        }
    }

    #[cold]
    fn another_layout(&mut self, terms: &Terms, shape: &Shape<'_>) -> Result<usize, CallError> {
        let instance = self.instance.instance();
        if let Some(index) = self.layouts.iter().position(|layout| layout.fits(shape)) {
            self.current = None;
            self.layouts[index].placed.place(instance)?;
            self.current = Some(index);
            return Ok(index);
        }
        let placed = Placed::new(
            instance,
            shape.params,
            shape.sizes,
            terms.heap_base,
            terms.max_pages,
        );
        let layout = Layout {
            params: shape.params.into(),
            sizes: shape.sizes,
            // What does not fit has written nothing.
            placed: placed?,
        };
        let index = if self.layouts.len() < LAYOUTS {
            self.layouts.push(layout);
            self.layouts.len() - 1
        } else {
            let index = self.oldest;
            self.oldest = (index + 1) % LAYOUTS;
            self.layouts[index] = layout;
            index
        };
        self.current = Some(index);
        Ok(index)
    }
}

/// The tensors that are filled before a call, with their sizes in bytes.
pub(crate) fn filled(shape: &Shape<'_>) -> [(Tensor, u32); 3] {
    let updated = if shape.updates { shape.sizes.output } else { 0 };
    [
        (Tensor::A, shape.sizes.a),
        (Tensor::B, shape.sizes.b),
        (Tensor::Output, updated),
    ]
}
