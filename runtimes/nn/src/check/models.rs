//! The models of `fixtures/nn`, and the guest that computes them.

use super::{Found, MODEL_GUEST, PATIENT, Wrong, guest, patient};
use crate::{Backend, Encoding, Nn, Tensor, abi::Errno};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime_api::{Budget, Entry, Instance, Runtime};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A model in both forms, with inputs and what is true.
pub struct Model {
    /// Its name.
    pub name: String,
    /// As ONNX.
    pub onnx: &'static [u8],
    /// As a document of kernels.
    pub kernels: &'static [u8],
    /// Its inputs.
    pub inputs: Vec<Tensor>,
    /// The output, in f64.
    pub truth: Vec<f64>,
    /// How far an element may be off, relative to the largest one of its row.
    pub tolerance: f64,
}

impl Model {
    /// Its form in an encoding.
    pub fn graph(&self, encoding: Encoding) -> &'static [u8] {
        match encoding {
            Encoding::Kernels => self.kernels,
            _ => self.onnx,
        }
    }

    /// Whether an output is right.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self, output: &[u8]) -> Result<f64, String> {
        let values: Vec<f64> = words(output)
            .map(|word| f64::from(f32::from_le_bytes(word)))
            .collect();
        if values.len() != self.truth.len() || !output.len().is_multiple_of(4) {
            let due = self.truth.len() * 4;
            return Err(format!("{} bytes; {due} are due", output.len()));
        }
        let columns = self
            .inputs
            .first()
            .map_or(1, |x| x.dimensions()[1] as usize);
        let mut worst = 0.0_f64;
        for (values, truths) in values.chunks(columns).zip(self.truth.chunks(columns)) {
            let largest = truths
                .iter()
                .fold(0.0_f64, |most, truth| most.max(truth.abs()));
            for (value, truth) in values.iter().zip(truths) {
                let off = (value - truth).abs() / largest;
                // A NaN is not within anything.
                if off.is_nan() || off > self.tolerance {
                    let tolerance = self.tolerance;
                    return Err(format!("{value} where {truth} is due, within {tolerance}"));
                }
                worst = worst.max(off);
            }
        }
        Ok(worst)
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks().0.iter().copied()
}

#[derive(Deserialize)]
struct CaseOf {
    model: String,
    tolerance: f64,
    truth: String,
    inputs: Vec<InputOf>,
}

#[derive(Deserialize)]
struct InputOf {
    shape: Vec<u32>,
    base64: String,
}

/// A model's name, its ONNX form and its document.
type Forms = (&'static str, &'static [u8], &'static [u8]);

/// All models.
///
/// # Panics
/// If the files of `fixtures/nn`, which are compiled in, are damaged.
pub fn all() -> Vec<Model> {
    macro_rules! forms {
        ($($name:literal),*) => { [$((
            $name,
            include_bytes!(concat!("../../../../fixtures/nn/", $name, ".onnx")),
            include_bytes!(concat!("../../../../fixtures/nn/", $name, ".json")),
        )),*] };
    }
    let forms: [Forms; 3] = forms!["rmsnorm", "swiglu", "mlp"];
    let cases = include_str!("../../../../fixtures/nn/cases.json");
    let cases: Vec<CaseOf> = serde_json::from_str(cases).expect("cases.json is what it was");
    let bytes = |text: &str| STANDARD.decode(text).expect("cases.json is what it was");
    let cases = cases.into_iter().zip(forms);
    let models = cases.map(|(case, (name, onnx, kernels))| {
        assert_eq!(case.model, name, "cases.json is in another order");
        let inputs = case.inputs.into_iter().map(|input| {
            Tensor::new(crate::Dtype::F32, input.shape, bytes(&input.base64))
                .expect("cases.json is what it was")
        });
        Model {
            name: case.model,
            onnx,
            kernels,
            inputs: inputs.collect(),
            truth: words(&bytes(&case.truth)).map(f64::from_le_bytes).collect(),
            tolerance: case.tolerance,
        }
    });
    models.collect()
}

/// How the model guest loads a graph.
#[derive(Clone, Copy, Debug)]
pub enum How<'g> {
    /// By its name.
    Name(&'g str),
    /// By its bytes, as `Autodetect` or as ONNX.
    Bytes(&'g [u8], Encoding),
}

/// The outputs of a request, or which function failed, and how.
pub type Answer = Result<Vec<Vec<u8>>, (String, Errno)>;

/// An instance of the model guest.
pub struct ModelGuest {
    instance: Box<dyn Instance + Send>,
    run: Entry,
    again: Entry,
    area: u32,
    answer: u32,
    budget: Budget,
}

impl ModelGuest {
    /// Of an instance of [`MODEL_GUEST`].
    ///
    /// # Errors
    /// Those of the engine.
    pub fn new(
        mut instance: Box<dyn Instance + Send>,
        budget: Budget,
    ) -> runtime_api::Result<Self> {
        let mut address = |name| {
            let entry = instance.entry(name, 0)?;
            instance.call(entry, &[], budget).map(|at| at as u32)
        };
        let (area, answer) = (address("area")?, address("answer")?);
        Ok(Self {
            run: instance.entry("run", 0)?,
            again: instance.entry("again", 1)?,
            instance,
            area,
            answer,
            budget,
        })
    }

    /// Loads a graph, computes it, and answers its outputs; or which function failed, and how.
    ///
    /// # Errors
    /// Those of the engine: the guest was stopped.
    pub fn run(
        &mut self,
        how: How<'_>,
        inputs: &[Tensor],
        outputs: u32,
    ) -> runtime_api::Result<Answer> {
        let request = request(how, inputs, outputs);
        self.instance.write(self.area, &request)?;
        let ended = self.instance.call(self.run, &[], self.budget)?;
        if ended != 0 {
            let functions = crate::abi::IMPORTS.functions;
            // In the order in which the guest calls them.
            let place = [0, 2, 3, 4, 5][(ended / 16 - 1).clamp(0, 4) as usize];
            let errno = Errno::of(ended % 16).unwrap_or(Errno::Success);
            return Ok(Err((functions[place].name.to_owned(), errno)));
        }
        let mut at = self.answer;
        let mut answers = Vec::new();
        for _ in 0..outputs {
            let mut length = [0; 4];
            self.instance.read(at, &mut length)?;
            let length = u32::from_le_bytes(length);
            // Not more than the guest's area, whatever it says.
            let mut bytes = vec![0; length.min(1 << 20) as usize];
            self.instance.read(at + 4, &mut bytes)?;
            answers.push(bytes);
            at += 4 + length.next_multiple_of(4);
        }
        Ok(Ok(answers))
    }

    /// Computes the last request so many times more, without loading or setting anything, and answers 0 or an error code.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn again(&mut self, times: u32) -> runtime_api::Result<i32> {
        self.instance.call(self.again, &[times], self.budget)
    }
}

fn request(how: How<'_>, inputs: &[Tensor], outputs: u32) -> Vec<u8> {
    let mut request = Vec::new();
    let word = |request: &mut Vec<u8>, word: u32| request.extend(word.to_le_bytes());
    let bytes = |request: &mut Vec<u8>, bytes: &[u8]| {
        word(request, bytes.len() as u32);
        request.extend(bytes);
        request.resize(request.len().next_multiple_of(4), 0);
    };
    match how {
        How::Name(name) => {
            word(&mut request, 0);
            bytes(&mut request, name.as_bytes());
        }
        How::Bytes(graph, encoding) => {
            let number = if encoding == Encoding::Onnx { 1 } else { 5 };
            word(&mut request, 1 + number);
            bytes(&mut request, graph);
        }
    }
    word(&mut request, inputs.len() as u32);
    for input in inputs {
        let dtypes = crate::Dtype::ALL.iter();
        let number = dtypes.take_while(|dtype| **dtype != input.dtype()).count();
        word(&mut request, number as u32);
        word(&mut request, input.dimensions().len() as u32);
        for size in input.dimensions() {
            word(&mut request, *size);
        }
        bytes(&mut request, input.bytes());
    }
    word(&mut request, outputs);
    request
}

fn output(
    runtime: &dyn Runtime,
    nn: Nn,
    how: How<'_>,
    model: &Model,
) -> Result<(f64, String), Wrong> {
    let instance = guest(runtime, MODEL_GUEST, nn)?.instantiate(PATIENT)?;
    let outputs = ModelGuest::new(instance, PATIENT)?.run(how, &model.inputs, 1)?;
    let outputs = outputs.map_err(|(function, errno)| {
        Wrong::Fails(format!("{function} answers {}", errno.name()))
    })?;
    let off = model.check(&outputs[0]).map_err(Wrong::Fails)?;
    let digest = Sha256::digest(&outputs[0]);
    let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((off, digest))
}

/// Computes a model by its name: what was seen, and the digest of the output.
pub(super) fn by_name(
    runtime: &dyn Runtime,
    backend: &Arc<dyn Backend>,
    model: &Model,
) -> Result<(String, String), Wrong> {
    let graph = model.graph(backend.encoding()).to_vec();
    let nn = Nn::new(patient()).named(&model.name, &**backend, graph)?;
    let (off, digest) = output(runtime, nn, How::Name(&model.name), model)?;
    let seen = format!("off by {off:.1e} at most, within {:.0e}", model.tolerance);
    Ok((seen, digest))
}

/// Computes a model whose graph the guest brings along, with the encoding left open and, where it has a number, said. The bits are those of before.
pub(super) fn by_bytes(
    runtime: &dyn Runtime,
    backend: &Arc<dyn Backend>,
    model: &Model,
    before: &[(String, String)],
) -> Found {
    let graph = model.graph(backend.encoding());
    let said = (backend.encoding() == Encoding::Onnx).then_some(Encoding::Onnx);
    let mut count = 0;
    for encoding in [Some(Encoding::Autodetect), said].into_iter().flatten() {
        let nn = Nn::new(patient()).backend(Arc::clone(backend));
        let (_, digest) = output(runtime, nn, How::Bytes(graph, encoding), model)?;
        let due = before.iter().find(|(name, _)| *name == model.name);
        if due.is_some_and(|(_, due)| *due != digest) {
            return Err(Wrong::Fails("other bits than by name".to_owned()));
        }
        count += 1;
    }
    Ok(format!("as by name, {count} ways to say the encoding"))
}
