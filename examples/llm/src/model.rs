//! A model of the architecture `llama`: matrices by candle, attention here, everything else by [`Kernels`].

use crate::{attention, cache::Cache, config::Config, kernels::Kernels};
use anyhow::{Context, Result, ensure};
use candle_core::{
    Device, Module, Tensor,
    quantized::{GgmlDType, QMatMul, QTensor, gguf_file::Content},
};
use std::io::{Read, Seek};

/// The weights of a model, and what follows from its shape alone. It is shared by all who generate with it.
#[derive(Debug)]
pub struct Model {
    config: Config,
    /// Also the last matrix, where the file has none of its own.
    embeddings: QMatMul,
    layers: Vec<Layer>,
    output_norm: Vec<f32>,
    output: Option<QMatMul>,
    /// Cosine and sine of each position and pair of a head: \[context, head_dim / 2\].
    rotations: [Vec<f32>; 2],
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    query: QMatMul,
    key: QMatMul,
    value: QMatMul,
    attention_output: QMatMul,
    feed_forward_norm: Vec<f32>,
    gate: QMatMul,
    up: QMatMul,
    down: QMatMul,
}

impl Model {
    /// Reads a GGUF file.
    ///
    /// # Errors
    /// A file that is no GGUF, or whose model this program cannot run, with the entry or tensor that says so.
    pub fn read<R: Read + Seek>(content: &Content, reader: &mut R) -> Result<Self> {
        let config = Config::read(content)?;
        let mut weights = Weights { content, reader };
        let (hidden, inner) = (config.hidden, config.feed_forward);
        let layers = (0..config.layers).map(|index| {
            let name = |part: &str| format!("blk.{index}.{part}.weight");
            Ok(Layer {
                attention_norm: weights.vector(&name("attn_norm"), hidden)?,
                query: weights.matrix(&name("attn_q"), [hidden, hidden])?,
                key: weights.matrix(&name("attn_k"), [config.kv_dim(), hidden])?,
                value: weights.matrix(&name("attn_v"), [config.kv_dim(), hidden])?,
                attention_output: weights.matrix(&name("attn_output"), [hidden, hidden])?,
                feed_forward_norm: weights.vector(&name("ffn_norm"), hidden)?,
                gate: weights.matrix(&name("ffn_gate"), [inner, hidden])?,
                up: weights.matrix(&name("ffn_up"), [inner, hidden])?,
                down: weights.matrix(&name("ffn_down"), [hidden, inner])?,
            })
        });
        let layers = layers.collect::<Result<_>>()?;
        let embeddings = weights.tensor("token_embd.weight")?;
        let (vocabulary, width) = embeddings.shape().dims2()?;
        ensure!(
            width == hidden,
            "token_embd.weight has {width} columns, not {hidden}"
        );
        let output = match content.tensor_infos.contains_key("output.weight") {
            true => Some(weights.matrix("output.weight", [vocabulary, hidden])?),
            false => None,
        };
        Ok(Self {
            config,
            embeddings: QMatMul::from_qtensor(embeddings)?,
            layers,
            output_norm: weights.vector("output_norm.weight", hidden)?,
            output,
            rotations: rotations(&config),
        })
    }

    /// Its shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs new tokens through the model after those that `cache` holds, and returns the logits of what follows the last one.
    ///
    /// # Errors
    /// No token, an unknown one, more than the model has positions for; a kernel that could not be run.
    pub fn forward(
        &self,
        tokens: &[u32],
        cache: &mut Cache,
        kernels: &mut dyn Kernels,
    ) -> Result<Vec<f32>> {
        let Config {
            hidden,
            head_dim,
            eps,
            context,
            ..
        } = self.config;
        let (start, rows) = (cache.positions(), tokens.len());
        ensure!(rows > 0, "run the model: no token");
        ensure!(
            start + rows <= context,
            "run the model: {start} tokens and {rows} more are above its {context} positions"
        );
        let table = self.table(start, rows);
        let tokens = Tensor::new(tokens, &Device::Cpu)?;
        let mut x = self
            .embeddings
            .embedding(&tokens)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        for (index, layer) in self.layers.iter().enumerate() {
            let normed = kernels.rmsnorm(eps, &x, &layer.attention_norm)?;
            let [query, key, value] =
                times(&normed, rows, [&layer.query, &layer.key, &layer.value])?;
            let query = kernels.rope(head_dim, rows, &query, &table)?;
            let key = kernels.rope(head_dim, rows, &key, &table)?;
            let [keys, values] = cache.extend(kernels, index, [&key, &value])?;
            let seen = attention::attend(&self.config, start, &query, keys, values);
            let [seen] = times(&seen, rows, [&layer.attention_output])?;
            add(&mut x, &seen);

            let normed = kernels.rmsnorm(eps, &x, &layer.feed_forward_norm)?;
            let [gate, up] = times(&normed, rows, [&layer.gate, &layer.up])?;
            let gated = kernels.swiglu(rows, &up, &gate)?;
            let [down] = times(&gated, rows, [&layer.down])?;
            add(&mut x, &down);
        }
        cache.advance(rows);
        let last = kernels.rmsnorm(eps, &x[x.len() - hidden..], &self.output_norm)?;
        let output = self.output.as_ref().unwrap_or(&self.embeddings);
        let [logits] = times(&last, 1, [output])?;
        Ok(logits)
    }

    /// Cosines, then sines, of consecutive positions.
    fn table(&self, start: usize, rows: usize) -> Vec<f32> {
        let pairs = self.config.head_dim / 2;
        let range = start * pairs..(start + rows) * pairs;
        self.rotations
            .each_ref()
            .map(|all| &all[range.clone()])
            .concat()
    }
}

/// `x` \[rows, inner\] times the transpose of each matrix, as many rows of it.
fn times<const N: usize>(x: &[f32], rows: usize, matrices: [&QMatMul; N]) -> Result<[Vec<f32>; N]> {
    let x = Tensor::from_slice(x, (rows, x.len() / rows), &Device::Cpu)?;
    let mut products = [const { Vec::new() }; N];
    for (product, matrix) in products.iter_mut().zip(matrices) {
        *product = matrix.forward(&x)?.flatten_all()?.to_vec1::<f32>()?;
    }
    Ok(products)
}

fn add(x: &mut [f32], more: &[f32]) {
    for (x, more) in x.iter_mut().zip(more) {
        *x += more;
    }
}

/// Angle of position p and pair i: p * theta^(-2i / head_dim), in f64, as its cosine and sine rounded to f32.
fn rotations(config: &Config) -> [Vec<f32>; 2] {
    let pairs = config.head_dim / 2;
    let angles = (0..config.context).flat_map(|position| {
        (0..pairs).map(move |pair| {
            let exponent = -2.0 * pair as f64 / config.head_dim as f64;
            position as f64 * f64::from(config.theta).powf(exponent)
        })
    });
    angles
        .map(|angle| (angle.cos() as f32, angle.sin() as f32))
        .unzip::<_, _, Vec<_>, Vec<_>>()
        .into()
}

/// Tensors of a file.
struct Weights<'a, R> {
    content: &'a Content,
    reader: &'a mut R,
}

impl<R: Read + Seek> Weights<'_, R> {
    fn tensor(&mut self, name: &str) -> Result<QTensor> {
        let tensor = self.content.tensor(self.reader, name, &Device::Cpu);
        tensor.with_context(|| format!("read tensor {name}"))
    }

    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<QMatMul> {
        let tensor = self.tensor(name)?;
        ensure!(
            tensor.shape().dims() == shape,
            "{name} has the shape {:?}, not {shape:?}",
            tensor.shape()
        );
        // candle multiplies Q4_1 blocks one element at a time, and Q8_0 blocks with vectors: three times as fast. What eight bits
        // lose of four is far below what four had lost.
        if tensor.dtype() == GgmlDType::Q4_1 {
            let exact = tensor.dequantize(&Device::Cpu)?;
            return Ok(QMatMul::from_qtensor(QTensor::quantize(
                &exact,
                GgmlDType::Q8_0,
            )?)?);
        }
        Ok(QMatMul::from_qtensor(tensor)?)
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>> {
        let values = self
            .tensor(name)?
            .dequantize(&Device::Cpu)?
            .flatten_all()?
            .to_vec1()?;
        ensure!(
            values.len() == length,
            "{name} has {} elements, not {length}",
            values.len()
        );
        Ok(values)
    }
}
