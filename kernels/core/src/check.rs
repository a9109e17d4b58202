use kernel_abi::{
    ABI_VERSION, Descriptor, FLAG_HAS_BACKWARD, KernelInfo, Region, Status, params::Rope,
};

use crate::memory::{LinearMemory, Regions};

/// What makes one kernel: parameters, sizes and arithmetic. All checks are made before [`run`](Self::run) is called.
pub trait Definition {
    /// The decoded parameter struct.
    type Params;
    /// The kernel's id, which is also the name it states of itself.
    const ID: &'static str;
    /// Sizes in bytes that the parameter struct may have, none above 28.
    const PARAMS_SIZES: &'static [u32];
    /// Whether [`run_backward`](Self::run_backward) computes a gradient.
    const HAS_BACKWARD: bool = false;

    /// Decodes a parameter struct; `None` for a size that is not one of [`PARAMS_SIZES`](Self::PARAMS_SIZES).
    fn decode(bytes: &[u8]) -> Option<Self::Params>;

    /// Whether the kernel takes these values, in whatever call.
    fn accepts(params: &Self::Params) -> bool;

    /// Whether the kernel takes these values in a call with this descriptor.
    fn accepts_call(_params: &Self::Params, _descriptor: &Descriptor) -> bool {
        true
    }

    /// The sizes that a call with these parameters must have.
    fn sizes(params: &Self::Params, descriptor: &Descriptor) -> Sizes;

    /// Computes the output. The regions have the sizes that were asked for.
    fn run(params: &Self::Params, regions: Regions<'_>);

    /// The sizes that a gradient call with these parameters must have.
    fn backward_sizes(params: &Self::Params, descriptor: &Descriptor) -> Sizes {
        Self::sizes(params, descriptor)
    }

    /// Computes the gradient, where there is one. The regions have the sizes that were asked for.
    fn run_backward(_params: &Self::Params, _regions: Regions<'_>) {}
}

/// What a call's regions must measure in bytes; `None` is a size that no 32-bit region can have.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Exact size of the first input.
    pub input_a: Option<u32>,
    /// Exact size of the second input.
    pub input_b: Option<u32>,
    /// Exact size of the output.
    pub output: Option<u32>,
    /// Smallest size of scratch.
    pub scratch: Option<u32>,
}

/// A call that passed every check.
#[derive(Debug)]
struct Call<'a, P> {
    /// The parameters, copied out of linear memory.
    params: P,
    /// The tensors.
    regions: Regions<'a>,
}

impl<'a, P> Call<'a, P> {
    /// Makes the checks of docs/abi.md in their order. `sizes` are the sizes the call must have.
    ///
    /// # Errors
    /// The status of the first check that does not hold. Nothing was written.
    fn check<D: Definition<Params = P>>(
        memory: &'a mut LinearMemory<'_>,
        address: u32,
        sizes: impl Fn(&P, &Descriptor) -> Sizes,
    ) -> Result<Self, Status> {
        let mut bytes = [0; Descriptor::SIZE];
        memory
            .copy_out(address, &mut bytes)
            .ok_or(Status::INVALID_INPUT)?;
        let descriptor = Descriptor::from_le_bytes(&bytes);

        let params = read_params::<D>(memory, descriptor.params)?;
        if !D::accepts_call(&params, &descriptor) {
            return Err(Status::INVALID_PARAMS);
        }

        let regions = memory
            .regions(address, &descriptor)
            .ok_or(Status::INVALID_INPUT)?;
        let sizes = sizes(&params, &descriptor);
        if sizes.input_a != Some(descriptor.input_a.size)
            || sizes.input_b != Some(descriptor.input_b.size)
        {
            return Err(Status::INVALID_INPUT);
        }
        if sizes.output != Some(descriptor.output.size) {
            return Err(Status::INVALID_OUTPUT);
        }
        if sizes
            .scratch
            .is_none_or(|needed| descriptor.scratch.size < needed)
        {
            return Err(Status::OUT_OF_MEMORY);
        }
        Ok(Self { params, regions })
    }
}

/// `kernel_forward`: runs the kernel on the descriptor at that address.
pub fn forward<D: Definition>(memory: &mut LinearMemory<'_>, descriptor: u32) -> Status {
    match Call::check::<D>(memory, descriptor, D::sizes) {
        Ok(call) => {
            D::run(&call.params, call.regions);
            Status::OK
        }
        Err(status) => status,
    }
}

/// `kernel_backward`: computes the gradient for the descriptor at that address.
pub fn backward<D: Definition>(memory: &mut LinearMemory<'_>, descriptor: u32) -> Status {
    if !D::HAS_BACKWARD {
        return Status::NOT_IMPLEMENTED;
    }
    match Call::check::<D>(memory, descriptor, D::backward_sizes) {
        Ok(call) => {
            D::run_backward(&call.params, call.regions);
            Status::OK
        }
        Err(status) => status,
    }
}

/// `kernel_init`: checks the parameters, if there are any. Values that are refused only together with a descriptor (a theta
/// that no call may need) pass.
pub fn init<D: Definition>(memory: &LinearMemory<'_>, params: u32, params_len: u32) -> Status {
    if params_len == 0 {
        return Status::OK;
    }
    match read_params::<D>(memory, Region::new(params, params_len)) {
        Ok(_) => Status::OK,
        Err(status) => status,
    }
}

/// `kernel_info`: writes a [`KernelInfo`] at `out`; `name_ptr` is the address of the kernel's id.
pub fn info<D: Definition>(memory: &mut LinearMemory<'_>, out: u32, name_ptr: u32) -> Status {
    let info = KernelInfo {
        name_ptr,
        name_len: D::ID.len() as u32,
        abi_version: ABI_VERSION,
        major: 1,
        minor: 0,
        patch: 0,
        flags: if D::HAS_BACKWARD {
            FLAG_HAS_BACKWARD
        } else {
            0
        },
    };
    match memory.copy_in(out, &info.to_le_bytes(), align_of::<u32>() as u32) {
        Some(()) => Status::OK,
        None => Status::INVALID_OUTPUT,
    }
}

/// Bytes of a tensor of those dimensions and that many bytes per element; `None` if they do not fit 32 bits.
/// No dimension is 0.
pub(crate) fn bytes(dimensions: &[u32], element_bytes: u32) -> Option<u32> {
    dimensions.iter().try_fold(element_bytes, |product, &next| {
        u32::try_from(u64::from(product) * u64::from(next)).ok()
    })
}

/// Sum of sizes; `None` if one of them is, or the sum does not fit 32 bits.
pub(crate) fn sum(sizes: &[Option<u32>]) -> Option<u32> {
    sizes
        .iter()
        .try_fold(0u32, |sum, size| sum.checked_add((*size)?))
}

/// Checks 2 to 4: size, place and values of the parameters.
fn read_params<D: Definition>(
    memory: &LinearMemory<'_>,
    region: Region,
) -> Result<D::Params, Status> {
    if !D::PARAMS_SIZES.contains(&region.size) {
        return Err(Status::INVALID_PARAMS);
    }
    let mut buffer = [0; Rope::SIZE];
    let bytes = buffer
        .get_mut(..region.size as usize)
        .ok_or(Status::INVALID_PARAMS)?;
    memory
        .copy_out(region.offset, bytes)
        .ok_or(Status::INVALID_INPUT)?;
    match D::decode(bytes) {
        Some(params) if D::accepts(&params) => Ok(params),
        _ => Err(Status::INVALID_PARAMS),
    }
}
