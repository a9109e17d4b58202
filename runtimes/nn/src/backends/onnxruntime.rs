//! ONNX by ONNX Runtime, whose shared library is looked for when the backend is opened: nothing of it is linked, fetched or built.

use super::declared::{Declared, Element, recognises};
use crate::{Backend, Dtype, Encoding, Error, Graph, Input, Target, Tensor};
use ort::{
    environment::Environment,
    session::{Session, SessionInputValue},
    value::{DynValue, PrimitiveTensorElementType, Tensor as OrtTensor},
};
use std::{
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

/// The variable that names the library.
const LIBRARY: &str = "ORT_DYLIB_PATH";

/// ONNX computed by ONNX Runtime, with one thread for each graph. It has no budget: what takes too long is left behind.
#[derive(Clone)]
pub struct OnnxRuntime {
    environment: Environment,
}

impl OnnxRuntime {
    /// With the library that `ORT_DYLIB_PATH` names; the PyPI package `onnxruntime` brings one, in `onnxruntime/capi`.
    ///
    /// # Errors
    /// Why it is absent, in words.
    pub fn open() -> Result<Self, String> {
        // A process has one, whatever the variable says later.
        static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
        let environment = ENVIRONMENT.get_or_init(environment).clone()?;
        Ok(Self { environment })
    }
}

fn environment() -> Result<Environment, String> {
    let path = std::env::var_os(LIBRARY).filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| {
        format!(
            "{LIBRARY} does not name the library; the PyPI package `onnxruntime` brings one, in onnxruntime/capi"
        )
    })?;
    let path = Path::new(&path);
    // The loader's own words for a missing file do not name the variable.
    if !path.is_file() {
        return Err(format!(
            "{LIBRARY} names {}, which is no file",
            path.display()
        ));
    }
    ort::init_from(path)
        .map_err(|error| format!("{} is not loaded: {error}", path.display()))?
        .with_telemetry(false)
        .build()
        .map_err(|error| format!("{} does not start: {error}", path.display()))
}

impl Backend for OnnxRuntime {
    fn id(&self) -> &'static str {
        "onnxruntime"
    }

    fn encoding(&self) -> Encoding {
        Encoding::Onnx
    }

    fn recognises(&self, parts: &[Vec<u8>]) -> bool {
        recognises(parts)
    }

    fn load(&self, parts: &[Vec<u8>], target: Target) -> Result<Arc<dyn Graph>, Error> {
        super::only_cpu(target)?;
        let (declared, bytes) = Declared::read(parts)?;
        let session = session(&self.environment, bytes)
            .map_err(|error| Error::Argument(error.to_string()))?;
        Ok(Arc::new(Loaded {
            session: Mutex::new(session),
            declared,
        }))
    }
}

fn session(environment: &Environment, bytes: &[u8]) -> ort::Result<Session> {
    let builder = Session::builder(environment)?;
    let builder = builder.with_intra_threads(1)?;
    let builder = builder.with_inter_threads(1)?;
    // Weights in files are refused before; what that look does not see finds no files.
    let key = "session.model_external_initializers_file_folder_path";
    let builder = builder.with_config_entry(key, "/nonexistent");
    let mut builder = builder?;
    builder.commit_from_memory(bytes)
}

struct Loaded {
    /// It computes for one caller at a time.
    session: Mutex<Session>,
    declared: Declared,
}

impl Graph for Loaded {
    fn inputs(&self) -> &[Input] {
        &self.declared.inputs
    }

    fn compute(&self, inputs: &[Arc<Tensor>], _: Duration) -> Result<Vec<Tensor>, Error> {
        let elements = self.declared.input_elements.iter();
        let declared = elements.zip(&self.declared.inputs);
        let mut values = Vec::new();
        for (tensor, (element, input)) in inputs.iter().zip(declared) {
            let value = value(tensor, *element)?;
            values.push((input.name.as_str(), SessionInputValue::from(value)));
        }
        // A panic of another caller leaves nothing half done: the session's state is the library's.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error: ort::Error| Error::Failed(error.to_string());
        let outputs = session.run(values).map_err(failed)?;
        let outputs = self.declared.outputs.iter().map(|(name, element)| {
            let output = outputs.get(name);
            let output = output.ok_or_else(|| Error::Failed(format!("no output `{name}`")))?;
            tensor(output, *element)
        });
        outputs.collect()
    }
}

fn value(tensor: &Tensor, element: Element) -> Result<DynValue, Error> {
    let shape: Vec<i64> = tensor
        .dimensions()
        .iter()
        .map(|size| i64::from(*size))
        .collect();
    fn made<T>(shape: Vec<i64>, values: Vec<T>) -> ort::Result<DynValue>
    where
        T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
    {
        Ok(OrtTensor::from_array((shape, values))?.into_dyn())
    }
    let value = match element {
        Element::F32 => made(shape, tensor.words(f32::from_le_bytes)),
        Element::F64 => made(shape, tensor.words(f64::from_le_bytes)),
        Element::U8 => made(shape, tensor.bytes().to_vec()),
        Element::I32 => made(shape, tensor.words(i32::from_le_bytes)),
        Element::I64 => made(shape, tensor.words(i64::from_le_bytes)),
        Element::Bool => {
            Declared::check_bool(tensor)?;
            let values = tensor.bytes().iter().map(|byte| *byte == 1);
            made(shape, values.collect())
        }
    };
    value.map_err(|error| Error::Argument(error.to_string()))
}

fn tensor(value: &DynValue, element: Element) -> Result<Tensor, Error> {
    fn taken<T, const N: usize>(
        value: &DynValue,
        dtype: Dtype,
        bytes: fn(T) -> [u8; N],
    ) -> Result<Tensor, Error>
    where
        T: PrimitiveTensorElementType + Copy,
    {
        let (shape, values) = value
            .try_extract_tensor::<T>()
            .map_err(|error| Error::Failed(error.to_string()))?;
        let sizes = shape.iter().map(|size| u32::try_from(*size));
        let sizes = sizes.collect::<Result<_, _>>();
        let sizes = sizes.map_err(|_| Error::Failed("an output of no known size".to_owned()))?;
        let bytes = values.iter().flat_map(|value| bytes(*value));
        Tensor::new(dtype, sizes, bytes.collect())
    }
    match element {
        Element::F32 => taken(value, Dtype::F32, f32::to_le_bytes),
        Element::F64 => taken(value, Dtype::F64, f64::to_le_bytes),
        Element::U8 => taken(value, Dtype::U8, |byte: u8| [byte]),
        Element::I32 => taken(value, Dtype::I32, i32::to_le_bytes),
        Element::I64 => taken(value, Dtype::I64, i64::to_le_bytes),
        Element::Bool => taken(value, Dtype::U8, |truth: bool| [u8::from(truth)]),
    }
}
