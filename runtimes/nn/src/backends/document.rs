//! Graphs of kernels: a JSON document that names kernels in a row, with their parameters (`docs/wasi-nn.md` has the format).

use crate::{Dtype, Error, Graph, Input, Tensor, byte_length, work::too_long};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime_call::{Output, Tensors};
use serde::Deserialize;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Kernels in a row.
const MAX_STEPS: usize = 64;
/// Bytes of all values of a document and of its kernels' scratch in sum, and of what is joined to an input of a kernel.
const MAX_BYTES: u64 = 256 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// The version of the format.
    kernels: u32,
    inputs: Vec<Value>,
    #[serde(default)]
    constants: Vec<Value>,
    steps: Vec<StepOf>,
    outputs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    name: String,
    dtype: String,
    shape: Vec<u32>,
    /// The bytes of a constant.
    base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepOf {
    kernel: String,
    params: Vec<Word>,
    a: Vec<String>,
    #[serde(default)]
    b: Vec<String>,
    /// What the output holds before, where the kernel updates it.
    updates: Option<String>,
    output: Value,
    #[serde(default)]
    scratch: u32,
}

/// A field of a parameter struct.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    F32(f32),
    U32(u32),
}

impl Word {
    fn bytes(self) -> [u8; 4] {
        match self {
            Word::F32(value) => value.to_le_bytes(),
            Word::U32(value) => value.to_le_bytes(),
        }
    }
}

/// Who carries out a step: the kernel's name and its tensors in, the bytes of its output out.
pub(super) trait Calls: Send + Sync {
    /// Whether there is such a kernel.
    fn knows(&self, kernel: &str) -> bool;

    /// Whether a call ends by a budget.
    fn is_bounded(&self) -> bool;

    fn call(&self, kernel: &str, tensors: &Tensors<'_>) -> Result<Vec<u8>, Error>;
}

/// Whether bytes look like a document.
pub(super) fn recognises(parts: &[Vec<u8>]) -> bool {
    let mut bytes = parts.iter().flatten();
    bytes.find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// One kernel, its tensors by their places among all values.
struct Step {
    kernel: String,
    params: Vec<u8>,
    a: Vec<usize>,
    b: Vec<usize>,
    updates: Option<usize>,
    dtype: Dtype,
    shape: Vec<u32>,
    bytes: u32,
    scratch: u32,
}

/// A document that was read, and who carries it out. Values are inputs, then constants, then outputs of steps, in order.
pub(super) struct Program<C> {
    inputs: Vec<Input>,
    constants: Vec<Arc<Tensor>>,
    steps: Vec<Step>,
    outputs: Vec<usize>,
    calls: C,
}

fn refused(message: impl Into<String>) -> Error {
    Error::Argument(message.into())
}

fn dtype_of(value: &Value) -> Result<Dtype, Error> {
    let dtype = Dtype::parse(&value.dtype);
    dtype.ok_or_else(|| refused(format!("`{}` is of no known type", value.name)))
}

/// The values by place: their names and bytes, and what a document takes in sum.
#[derive(Default)]
struct Values {
    all: Vec<(String, u64)>,
    sum: u64,
}

impl Values {
    fn take(&mut self, what: &str, bytes: u64) -> Result<(), Error> {
        self.sum = self.sum.saturating_add(bytes);
        if self.sum > MAX_BYTES {
            return Err(Error::TooLarge(format!(
                "{what} has {bytes} bytes; {MAX_BYTES} are the most for all values in sum"
            )));
        }
        Ok(())
    }

    /// One more value; its type and bytes.
    fn add(&mut self, value: &Value) -> Result<(Dtype, u64), Error> {
        let dtype = dtype_of(value)?;
        let bytes = byte_length(dtype, &value.shape)?;
        self.take(&value.name, bytes)?;
        if self.all.iter().any(|(known, _)| *known == value.name) {
            return Err(refused(format!("two values are called `{}`", value.name)));
        }
        self.all.push((value.name.clone(), bytes));
        Ok((dtype, bytes))
    }

    fn find(&self, name: &str) -> Result<usize, Error> {
        let place = self.all.iter().position(|(known, _)| known == name);
        place.ok_or_else(|| refused(format!("no value is called `{name}` by then")))
    }

    /// The places of values that become one region.
    fn joined(&self, names: &[String]) -> Result<Vec<usize>, Error> {
        let places = names.iter().map(|name| self.find(name));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let bytes = places.iter().map(|place| self.all[*place].1);
        match bytes.fold(0, u64::saturating_add) {
            bytes if bytes > MAX_BYTES => {
                let message = format!("values of {bytes} bytes are joined");
                Err(Error::TooLarge(message))
            }
            _ => Ok(places),
        }
    }
}

impl<C: Calls> Program<C> {
    /// Reads a document. Whether parameters and sizes are a kernel's, the kernel says when it is called.
    pub(super) fn read(parts: &[Vec<u8>], calls: C) -> Result<Self, Error> {
        let bytes = parts.concat();
        let document: Document = serde_json::from_slice(&bytes)
            .map_err(|error| refused(format!("not a document of kernels: {error}")))?;
        if document.kernels != 1 {
            let message = format!("version {} of documents is not known", document.kernels);
            return Err(Error::Unsupported(message));
        }
        if document.steps.len() > MAX_STEPS {
            let message = format!("{} steps; {MAX_STEPS} are the most", document.steps.len());
            return Err(Error::TooLarge(message));
        }
        let mut values = Values::default();
        let mut inputs = Vec::new();
        for value in &document.inputs {
            inputs.push(Input {
                dtype: Some(values.add(value)?.0),
                name: value.name.clone(),
                dimensions: Some(value.shape.iter().copied().map(Some).collect()),
            });
        }
        let mut constants = Vec::new();
        for value in &document.constants {
            let (dtype, _) = values.add(value)?;
            constants.push(Arc::new(constant(value, dtype)?));
        }
        let mut steps = Vec::new();
        for step in &document.steps {
            if !calls.knows(&step.kernel) {
                return Err(Error::NotFound(format!("a kernel `{}`", step.kernel)));
            }
            steps.push(read_step(step, &mut values)?);
        }
        Ok(Self {
            outputs: values.joined(&document.outputs)?,
            inputs,
            constants,
            steps,
            calls,
        })
    }
}

fn constant(value: &Value, dtype: Dtype) -> Result<Tensor, Error> {
    let text = value.base64.as_deref().unwrap_or_default();
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| refused(format!("`{}` is not base64: {error}", value.name)))?;
    Tensor::new(dtype, value.shape.clone(), bytes)
}

fn read_step(step: &StepOf, values: &mut Values) -> Result<Step, Error> {
    values.take("scratch", step.scratch.into())?;
    let (a, b) = (values.joined(&step.a)?, values.joined(&step.b)?);
    let updates = match &step.updates {
        Some(name) => Some(values.find(name)?),
        None => None,
    };
    let (dtype, bytes) = values.add(&step.output)?;
    let params = step.params.iter().flat_map(|word| word.bytes());
    Ok(Step {
        kernel: step.kernel.clone(),
        params: params.collect(),
        a,
        b,
        updates,
        dtype,
        shape: step.output.shape.clone(),
        // At most MAX_BYTES.
        bytes: bytes as u32,
        scratch: step.scratch,
    })
}

/// Several tensors are one region, one after the other without padding.
fn joined(values: &[Arc<Tensor>], places: &[usize]) -> Vec<u8> {
    let tensors = places.iter().map(|place| values[*place].bytes());
    tensors.collect::<Vec<_>>().concat()
}

impl<C: Calls> Graph for Program<C> {
    fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    fn is_bounded(&self) -> bool {
        self.calls.is_bounded()
    }

    fn compute(&self, inputs: &[Arc<Tensor>], time: Duration) -> Result<Vec<Tensor>, Error> {
        let mut values = inputs.to_vec();
        values.extend(self.constants.iter().cloned());
        let start = Instant::now();
        for step in &self.steps {
            // Each kernel has a budget of its own, and a document may have many.
            if start.elapsed() > time {
                return Err(too_long(time));
            }
            let (a, b) = (joined(&values, &step.a), joined(&values, &step.b));
            let tensors = Tensors {
                params: &step.params,
                a: &a,
                b: &b,
                output: match step.updates {
                    Some(place) => Output::Updated(values[place].bytes()),
                    None => Output::Written(step.bytes),
                },
                scratch_size: step.scratch,
            };
            let output = self.calls.call(&step.kernel, &tensors)?;
            let output = Tensor::new(step.dtype, step.shape.clone(), output)?;
            values.push(Arc::new(output));
        }
        let outputs = self.outputs.iter().map(|place| (*values[*place]).clone());
        Ok(outputs.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers the bytes of `a`.
    struct Copies;

    impl Calls for Copies {
        fn knows(&self, kernel: &str) -> bool {
            kernel == "copy"
        }

        fn is_bounded(&self) -> bool {
            true
        }

        fn call(&self, _: &str, tensors: &Tensors<'_>) -> Result<Vec<u8>, Error> {
            Ok(tensors.a.to_vec())
        }
    }

    fn read(text: &str) -> Result<Program<Copies>, Error> {
        Program::read(&[text.as_bytes().to_vec()], Copies)
    }

    const JOINS: &str = r#"{"kernels": 1,
        "inputs": [{"name": "x", "dtype": "u8", "shape": [2]}],
        "constants": [{"name": "c", "dtype": "u8", "shape": [1], "base64": "Bw=="}],
        "steps": [{"kernel": "copy", "params": [], "a": ["x", "c", "x"],
                   "output": {"name": "y", "dtype": "u8", "shape": [5]}}],
        "outputs": ["y", "x"]}"#;

    #[test]
    fn steps_join_values_and_outputs_are_any_of_them() {
        let program = read(JOINS).unwrap();
        let x = Arc::new(Tensor::new(Dtype::U8, vec![2], vec![1, 2]).unwrap());
        let outputs = program.compute(&[Arc::clone(&x)], Duration::MAX).unwrap();
        let bytes: Vec<_> = outputs.iter().map(Tensor::bytes).collect();
        assert_eq!(bytes, [&[1, 2, 7, 1, 2][..], &[1, 2]]);
        let late = program.compute(&[x], Duration::ZERO);
        assert!(matches!(late, Err(Error::Failed(_))), "{late:?}");
    }

    #[test]
    fn what_is_no_document_is_refused_with_its_kind() {
        for (from, to, code) in [
            ("{\"kernels\": 1", "{\"kernels\": 2", "Unsupported"),
            ("\"kernel\": \"copy\"", "\"kernel\": \"lies\"", "NotFound"),
            ("[\"x\", \"c\", \"x\"]", "[\"y\"]", "Argument"),
            ("\"name\": \"c\"", "\"name\": \"x\"", "Argument"),
            (
                "\"dtype\": \"u8\", \"shape\": [1]",
                "\"dtype\": \"u9\", \"shape\": [1]",
                "Argument",
            ),
            ("Bw==", "Bw", "Argument"),
            ("Bw==", "Bwc=", "Argument"),
            ("[5]", "[4294967295]", "TooLarge"),
            ("\"outputs\": [\"y\"", "\"outputs\": [\"z\"", "Argument"),
            ("\"params\"", "\"parms\"", "Argument"),
        ] {
            assert!(JOINS.contains(from), "{from}");
            let error = read(&JOINS.replacen(from, to, 1)).err().unwrap();
            assert!(format!("{error:?}").starts_with(code), "{from}: {error:?}");
        }
        assert!(!recognises(&[b"\x08\x0a".to_vec()]) && recognises(&[b" \n{".to_vec()]));
    }
}
