use crate::{Dtype, Error, Tensor};
use std::{fmt, sync::Arc, time::Duration};

/// What the bytes of a graph are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// OpenVINO's.
    Openvino,
    /// ONNX.
    Onnx,
    /// TensorFlow's.
    Tensorflow,
    /// TorchScript.
    Pytorch,
    /// TensorFlow Lite's.
    TensorflowLite,
    /// To be found out from the bytes.
    Autodetect,
    /// A document that names kernels (`docs/wasi-nn.md`). The specification has no number for it: guests say `Autodetect`.
    Kernels,
}

/// Where a graph is to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The processor.
    Cpu,
    /// A graphics processor.
    Gpu,
    /// A tensor processor.
    Tpu,
}

/// What takes graphs of one encoding.
pub trait Backend: Send + Sync {
    /// Its name, in reports and on the command line.
    fn id(&self) -> &'static str;

    /// The encoding that it takes.
    fn encoding(&self) -> Encoding;

    /// Whether these bytes may be of its encoding: for [`Encoding::Autodetect`].
    fn recognises(&self, parts: &[Vec<u8>]) -> bool;

    /// Loads a graph of its encoding, whose bytes come in one or several parts.
    ///
    /// # Errors
    /// [`Error::Argument`] for bytes that are no graph; [`Error::Unsupported`] for an operator or a target that it does not have;
    /// [`Error::NotFound`] for a kernel that is not there.
    fn load(&self, parts: &[Vec<u8>], target: Target) -> Result<Arc<dyn Graph>, Error>;
}

/// An input that a graph wants. What is `None` may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Its name in the graph.
    pub name: String,
    /// The type of its elements.
    pub dtype: Option<Dtype>,
    /// Its dimensions, each of which may be open.
    pub dimensions: Option<Vec<Option<u32>>>,
}

impl Input {
    /// Whether a tensor is one.
    ///
    /// # Errors
    /// [`Error::Argument`], with what does not fit.
    pub fn check(&self, tensor: &Tensor) -> Result<(), Error> {
        let found = tensor.dimensions();
        let dtype_fits = self.dtype.is_none_or(|dtype| dtype == tensor.dtype());
        let shape_fits = self.dimensions.as_ref().is_none_or(|due| {
            let mut pairs = due.iter().zip(found);
            due.len() == found.len()
                && pairs.all(|(due, found)| due.is_none_or(|size| size == *found))
        });
        if dtype_fits && shape_fits {
            return Ok(());
        }
        let dtype = tensor.dtype();
        Err(Error::Argument(format!(
            "a tensor of {dtype} {found:?} for the input {self}"
        )))
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = self.dtype.map_or("any type", Dtype::name);
        write!(f, "`{}` of {dtype}", self.name)?;
        match &self.dimensions {
            Some(sizes) => write!(f, " {sizes:?}"),
            None => Ok(()),
        }
    }
}

/// A graph that was loaded: immutable, for any number of contexts on any number of threads.
pub trait Graph: Send + Sync {
    /// Its inputs, by index.
    fn inputs(&self) -> &[Input];

    /// Whether computing ends by itself, soon after the time that [`Self::compute`] is given. What does not is computed on a thread that is
    /// left behind when it takes too long.
    fn is_bounded(&self) -> bool {
        false
    }

    /// Computes all outputs of all inputs, each of which passed [`Input::check`]. Where [`Self::is_bounded`] it begins nothing after `time`.
    ///
    /// # Errors
    /// [`Error::Argument`] for values that the graph refuses, [`Error::Failed`] for all else that goes wrong.
    fn compute(&self, inputs: &[Arc<Tensor>], time: Duration) -> Result<Vec<Tensor>, Error>;
}
