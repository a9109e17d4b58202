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

/// What a call's regions must measure in bytes. No region has [`Sizes::NONE`] or more.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Exact size of the first input.
    pub input_a: u64,
    /// Exact size of the second input.
    pub input_b: u64,
    /// Exact size of the output.
    pub output: u64,
    /// Smallest size of scratch.
    pub scratch: u64,
}

impl Sizes {
    /// A size that no 32-bit region can have.
    pub const NONE: u64 = 1 << 32;
}

/// Makes the checks of docs/abi.md in their order, and runs the kernel if all of them hold; else nothing was written, and the status is that of
/// the first that does not. `sizes` are the sizes the call must have. No value says that a call was checked: a compiled form of one asks again.
fn checked<D: Definition>(
    memory: &mut LinearMemory<'_>,
    address: u32,
    sizes: impl Fn(&D::Params, &Descriptor) -> Sizes,
    run: impl Fn(&D::Params, Regions<'_>),
) -> Status {
    let mut bytes = [0; Descriptor::SIZE];
    if memory.copy_out(address, &mut bytes).is_none() {
        return Status::INVALID_INPUT;
    }
    let descriptor = Descriptor::from_le_bytes(&bytes);

    let params = match read_params::<D>(memory, descriptor.params) {
        Ok(params) => params,
        Err(status) => return status,
    };
    if !D::accepts_call(&params, &descriptor) {
        return Status::INVALID_PARAMS;
    }

    let (fit, regions) = memory.regions(address, &descriptor);
    if !fit {
        return Status::INVALID_INPUT;
    }
    let sizes = sizes(&params, &descriptor);
    let [input_a, input_b, output, scratch, _] =
        descriptor.regions().map(|region| u64::from(region.size));
    if sizes.input_a != input_a || sizes.input_b != input_b {
        return Status::INVALID_INPUT;
    }
    if sizes.output != output {
        return Status::INVALID_OUTPUT;
    }
    if sizes.scratch > scratch {
        return Status::OUT_OF_MEMORY;
    }
    run(&params, regions);
    Status::OK
}

/// `kernel_forward`: runs the kernel on the descriptor at that address.
pub fn forward<D: Definition>(memory: &mut LinearMemory<'_>, descriptor: u32) -> Status {
    checked::<D>(memory, descriptor, D::sizes, D::run)
}

/// `kernel_backward`: computes the gradient for the descriptor at that address.
pub fn backward<D: Definition>(memory: &mut LinearMemory<'_>, descriptor: u32) -> Status {
    if !D::HAS_BACKWARD {
        return Status::NOT_IMPLEMENTED;
    }
    checked::<D>(memory, descriptor, D::backward_sizes, D::run_backward)
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

/// Bytes of a tensor of those dimensions and that many bytes per element; [`Sizes::NONE`] if they do not fit 32 bits.
/// No dimension is 0.
pub(crate) fn bytes(dimensions: &[u32], element_bytes: u32) -> u64 {
    dimensions
        .iter()
        .fold(element_bytes.into(), |product, &next| {
            (product * u64::from(next)).min(Sizes::NONE)
        })
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
