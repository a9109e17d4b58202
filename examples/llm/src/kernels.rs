//! The kernels that the model calls, and the native form of them.

use anyhow::{Result, bail};
use kernel_abi::{
    Descriptor, Region, Status,
    params::{Kv, RmsNorm, Rope, Swiglu},
};
use kernel_core::{
    Definition, F32x4, KvPackQ4, KvPackQ8, KvUnpackQ4, KvUnpackQ8, Lanes, Regions, RmsNormF32,
    RopeF32, SwigluF32,
};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

// Tensors are handed to kernels as their bytes in memory, which the ABI says are little-endian.
const _: () = assert!(cfg!(target_endian = "little"));

/// A kernel of the core pack that the model needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kernel {
    /// Root mean square norm.
    RmsNorm,
    /// Rotary position embedding.
    Rope,
    /// Gate of the feed-forward part.
    Swiglu,
    /// f32 to Q8_0 blocks.
    PackQ8,
    /// Q8_0 blocks to f32.
    UnpackQ8,
    /// f32 to Q4_0 blocks.
    PackQ4,
    /// Q4_0 blocks to f32.
    UnpackQ4,
}

impl Kernel {
    /// All of them.
    pub const ALL: [Kernel; 7] = [
        Kernel::RmsNorm,
        Kernel::Rope,
        Kernel::Swiglu,
        Kernel::PackQ8,
        Kernel::UnpackQ8,
        Kernel::PackQ4,
        Kernel::UnpackQ4,
    ];

    /// The kernel's id in a pack.
    pub const fn id(self) -> &'static str {
        match self {
            Kernel::RmsNorm => "rmsnorm_f32",
            Kernel::Rope => "rope_f32",
            Kernel::Swiglu => "swiglu_f32",
            Kernel::PackQ8 => "kv_pack_q8",
            Kernel::UnpackQ8 => "kv_unpack_q8",
            Kernel::PackQ4 => "kv_pack_q4",
            Kernel::UnpackQ4 => "kv_unpack_q4",
        }
    }

    /// The kernel of that id.
    pub fn of_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kernel| kernel.id() == id)
    }
}

/// One call: what the kernel's ABI calls params, input a, input b and output, as bytes. An absent input is empty.
#[derive(Debug)]
pub struct Call<'a> {
    /// Which kernel.
    pub kernel: Kernel,
    /// The parameter struct.
    pub params: &'a [u8],
    /// First input.
    pub a: &'a [u8],
    /// Second input.
    pub b: &'a [u8],
    /// Where the output goes; exactly as long as it.
    pub output: &'a mut [u8],
}

/// Who runs kernels for the model.
pub trait Kernels {
    /// Runs one call.
    ///
    /// # Errors
    /// The kernel does not take the call, or whoever runs it could not.
    fn run(&mut self, call: Call<'_>) -> Result<()>;

    /// Who that is, and what became of the calls so far, in a few words.
    fn describe(&self) -> String;
}

impl<K: Kernels + ?Sized> Kernels for Box<K> {
    fn run(&mut self, call: Call<'_>) -> Result<()> {
        (**self).run(call)
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}

impl<K: Kernels + ?Sized> Kernels for &mut K {
    fn run(&mut self, call: Call<'_>) -> Result<()> {
        (**self).run(call)
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// What the model asks for, as calls.
impl dyn Kernels + '_ {
    /// Norm of each row of `x` \[rows, hidden\] with the weight `w` \[hidden\].
    ///
    /// # Errors
    /// As [`Kernels::run`].
    pub fn rmsnorm(&mut self, eps: f32, x: &[f32], w: &[f32]) -> Result<Vec<f32>> {
        let params = RmsNorm {
            eps,
            hidden: u32::try_from(w.len())?,
            rows: u32::try_from(x.len() / w.len().max(1))?,
        };
        let (a, b) = (bytemuck::cast_slice(x), bytemuck::cast_slice(w));
        self.floats(Kernel::RmsNorm, &params.to_le_bytes(), [a, b], x.len())
    }

    /// Rotates pairs (2i, 2i + 1) of `x` \[seq, heads, head_dim\]; `table` holds cosines, then sines, each \[seq, head_dim / 2\].
    ///
    /// # Errors
    /// As [`Kernels::run`].
    pub fn rope(
        &mut self,
        head_dim: usize,
        seq: usize,
        x: &[f32],
        table: &[f32],
    ) -> Result<Vec<f32>> {
        let params = Rope {
            theta: 1.0, // of no meaning where a table is given
            seq: u32::try_from(seq)?,
            head_dim: u32::try_from(head_dim)?,
            heads: u32::try_from(x.len() / (seq * head_dim).max(1))?,
            batch: 1,
            layout: 0,
            table: 1,
        };
        let (a, b) = (bytemuck::cast_slice(x), bytemuck::cast_slice(table));
        self.floats(Kernel::Rope, &params.to_le_bytes(), [a, b], x.len())
    }

    /// gate * sigmoid(gate) * x, both \[rows, hidden\].
    ///
    /// # Errors
    /// As [`Kernels::run`].
    pub fn swiglu(&mut self, rows: usize, x: &[f32], gate: &[f32]) -> Result<Vec<f32>> {
        let params = Swiglu {
            rows: u32::try_from(rows)?,
            hidden: u32::try_from(x.len() / rows.max(1))?,
            beta: 1.0,
        };
        let (a, b) = (bytemuck::cast_slice(x), bytemuck::cast_slice(gate));
        self.floats(Kernel::Swiglu, &params.to_le_bytes(), [a, b], x.len())
    }

    /// Packs rows of `dim` elements into blocks, which are appended to `blocks`.
    ///
    /// # Errors
    /// As [`Kernels::run`].
    pub fn pack(
        &mut self,
        kernel: Kernel,
        dim: usize,
        x: &[f32],
        block_bytes: usize,
        blocks: &mut Vec<u8>,
    ) -> Result<()> {
        let start = blocks.len();
        blocks.resize(
            start + x.len() / kernel_abi::block::ELEMENTS * block_bytes,
            0,
        );
        let params = kv(dim, x.len())?.to_le_bytes();
        self.run(Call {
            kernel,
            params: &params,
            a: bytemuck::cast_slice(x),
            b: &[],
            output: &mut blocks[start..],
        })
    }

    /// Unpacks blocks of rows of `dim` elements into `x`.
    ///
    /// # Errors
    /// As [`Kernels::run`].
    pub fn unpack(
        &mut self,
        kernel: Kernel,
        dim: usize,
        blocks: &[u8],
        x: &mut [f32],
    ) -> Result<()> {
        let params = kv(dim, x.len())?.to_le_bytes();
        self.run(Call {
            kernel,
            params: &params,
            a: blocks,
            b: &[],
            output: bytemuck::cast_slice_mut(x),
        })
    }

    fn floats(
        &mut self,
        kernel: Kernel,
        params: &[u8],
        [a, b]: [&[u8]; 2],
        length: usize,
    ) -> Result<Vec<f32>> {
        let mut output = vec![0.0f32; length];
        self.run(Call {
            kernel,
            params,
            a,
            b,
            output: bytemuck::cast_slice_mut(&mut output),
        })?;
        Ok(output)
    }
}

fn kv(dim: usize, elements: usize) -> Result<Kv> {
    Ok(Kv {
        rows: u32::try_from(elements / dim.max(1))?,
        dim: u32::try_from(dim)?,
    })
}

/// The kernels' source compiled for this machine, called where the tensors lie: no copy, no guard bands, no budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Native {
    /// Whether to compute as the pack's variants for engines with `simd` do. Sums of rmsnorm have other bits.
    pub simd: bool,
}

impl Native {
    /// Computes a call, or says with which status the kernel refuses it.
    pub fn compute(self, call: Call<'_>) -> Status {
        if self.simd {
            native::<F32x4>(call)
        } else {
            native::<f32>(call)
        }
    }
}

impl Kernels for Native {
    fn run(&mut self, call: Call<'_>) -> Result<()> {
        let kernel = call.kernel;
        match self.compute(call) {
            Status::OK => Ok(()),
            Status(code) => bail!("run {} natively: status {code}", kernel.id()),
        }
    }

    fn describe(&self) -> String {
        "native kernels".to_owned()
    }
}

fn native<L: Lanes>(call: Call<'_>) -> Status {
    match call.kernel {
        Kernel::RmsNorm => compute::<RmsNormF32<L>>(call),
        Kernel::Rope => compute::<RopeF32<L>>(call),
        Kernel::Swiglu => compute::<SwigluF32<L>>(call),
        Kernel::PackQ8 => compute::<KvPackQ8<L>>(call),
        Kernel::UnpackQ8 => compute::<KvUnpackQ8<L>>(call),
        Kernel::PackQ4 => compute::<KvPackQ4<L>>(call),
        Kernel::UnpackQ4 => compute::<KvUnpackQ4<L>>(call),
    }
}

/// Checks that the sizes are those that the parameters ask for, as the kernel itself does in linear memory, and computes.
fn compute<D: Definition>(call: Call<'_>) -> Status {
    let region = |bytes: &[u8]| u32::try_from(bytes.len()).map(|size| Region::new(0, size));
    let (Ok(input_a), Ok(input_b), Ok(output)) =
        (region(call.a), region(call.b), region(call.output))
    else {
        return Status::INVALID_INPUT;
    };
    let descriptor = Descriptor {
        input_a,
        input_b,
        output,
        ..Descriptor::default()
    };
    let params = match D::decode(call.params) {
        Some(params) if D::accepts(&params) && D::accepts_call(&params, &descriptor) => params,
        _ => return Status::INVALID_PARAMS,
    };
    let sizes = D::sizes(&params, &descriptor);
    if sizes.input_a != u64::from(input_a.size) || sizes.input_b != u64::from(input_b.size) {
        return Status::INVALID_INPUT;
    }
    if sizes.output != u64::from(output.size) {
        return Status::INVALID_OUTPUT;
    }
    if sizes.scratch > 0 {
        return Status::OUT_OF_MEMORY;
    }
    let regions = Regions {
        input_a: call.a,
        input_b: call.b,
        output: call.output,
        scratch: &mut [],
    };
    D::run(&params, regions);
    Status::OK
}

/// Kernels with a clock beside them, which is off at first.
#[derive(Debug)]
pub struct Timed<K> {
    inner: K,
    /// Whether calls are timed. A look at this clock takes longer than one at the time of day.
    pub is_on: bool,
    spent: BTreeMap<Kernel, Spent>,
}

/// What calls of a kernel took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How many.
    pub calls: u64,
    /// Processor time of all of them, with a look at the clock each.
    pub time: Duration,
}

impl<K> Timed<K> {
    /// Times the calls of `inner`, once it is told to.
    pub fn new(inner: K) -> Self {
        Self {
            inner,
            is_on: false,
            spent: BTreeMap::new(),
        }
    }

    /// What was spent since the last time this was asked.
    pub fn take(&mut self) -> BTreeMap<Kernel, Spent> {
        std::mem::take(&mut self.spent)
    }
}

impl<K: Kernels> Kernels for Timed<K> {
    fn run(&mut self, call: Call<'_>) -> Result<()> {
        if !self.is_on {
            return self.inner.run(call);
        }
        let spent = self.spent.entry(call.kernel).or_default();
        let start = processor_time();
        let outcome = self.inner.run(call);
        spent.time += processor_time() - start;
        spent.calls += 1;
        outcome
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// What all threads of this process have had of the processors so far.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    // It is not negative, and nanoseconds are below 10^9.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Kernels whose outputs are remembered as one number: what differs in a single bit may vanish before it reaches a logit, because
/// matrices take their input in eight bits.
#[derive(Debug)]
pub struct Witness<K> {
    inner: K,
    hasher: DefaultHasher,
    calls: u64,
}

impl<K> Witness<K> {
    /// Remembers what `inner` gives from now on.
    pub fn new(inner: K) -> Self {
        Self {
            inner,
            hasher: DefaultHasher::new(),
            calls: 0,
        }
    }

    /// Calls so far, and the number that follows from all their outputs, in their order.
    pub fn outputs(&self) -> (u64, u64) {
        (self.calls, self.hasher.finish())
    }
}

impl<K: Kernels> Kernels for Witness<K> {
    fn run(&mut self, call: Call<'_>) -> Result<()> {
        self.inner.run(Call {
            output: &mut *call.output,
            ..call
        })?;
        call.kernel.hash(&mut self.hasher);
        self.hasher.write(call.output);
        self.calls += 1;
        Ok(())
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
