//! What a file says and rten 0.27.0 has not, or computes wrongly, written as operators that it has.
//!
//! Each rule takes a node and gives the nodes that stand for it, or nothing where the engine does well by itself. A rule goes by what the file
//! says alone, never by values. What no rule makes right is refused when the file is loaded, by [`stated`].

mod attention;
mod boxes;
mod defaults;
mod known;
mod plain;
mod pool;
mod quantize;
mod recurrent;
mod resize;
mod sample;
pub mod stated;
#[cfg(test)]
mod tests;
mod text;

use crate::Error;
use known::Known;
use rten_onnx::onnx::{GraphProto, ModelProto, NodeProto};
use std::collections::HashSet;
use text::Writer;

/// What all rules may write for a file: files of strangers must not grow without end.
const MAX_NODES: usize = 200_000;

/// Rewrites a model, and says whether anything changed.
///
/// # Errors
/// [`Error::Unsupported`] for what is not stated; [`Error::TooLarge`] for a file that would become too many nodes.
pub(super) fn rewrite(model: &mut ModelProto) -> Result<bool, Error> {
    let version = stated::version(&model.opset_import)?;
    let Some(graph) = &mut model.graph else {
        return Ok(false);
    };
    let mut taken = HashSet::new();
    heads(graph, &mut taken);
    let mut prefixes = (0_usize..).map(|number| format!("~{number}."));
    let prefix = prefixes.find(|prefix| !taken.contains(prefix));
    let mut rewriter = Rewriter {
        prefix: prefix.unwrap_or_default(),
        count: 0,
        written: 0,
        changed: false,
    };
    rewriter.graph(graph, version, None)?;
    Ok(rewriter.changed)
}

/// With what the names of values begin that could be taken for those of values in between.
fn heads(graph: &GraphProto, taken: &mut HashSet<String>) {
    let weights = graph.initializer.iter().filter_map(|it| it.name.as_ref());
    let inputs = graph.input.iter().filter_map(|it| it.name.as_ref());
    let nodes = graph.node.iter();
    let values = nodes.flat_map(|node| node.input.iter().chain(&node.output));
    for name in weights.chain(inputs).chain(values) {
        if let Some((head, _)) = name.split_once('.').filter(|_| name.starts_with('~')) {
            taken.insert(format!("{head}."));
        }
    }
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    attributes
        .filter_map(|it| it.g.as_ref())
        .for_each(|inner| heads(inner, taken));
}

struct Rewriter {
    prefix: String,
    count: usize,
    written: usize,
    changed: bool,
}

impl Rewriter {
    /// A graph, of which values of those around it are known too.
    fn graph(
        &mut self,
        graph: &mut GraphProto,
        version: i64,
        around: Option<&Known>,
    ) -> Result<(), Error> {
        let mut known = Known::new(graph, version, around);
        for weight in &graph.initializer {
            stated::tensor(weight)?;
        }
        let mut nodes = Vec::with_capacity(graph.node.len());
        for mut node in std::mem::take(&mut graph.node) {
            for attribute in &mut node.attribute {
                if let Some(inner) = &mut attribute.g {
                    self.graph(inner, version, Some(&known))?;
                }
            }
            self.changed |= defaults::fill(&mut node, &known);
            stated::operator(&node)?;
            let mut writer = Writer::new(&self.prefix, &mut self.count);
            if rule(&Node(&node), &known, &mut writer) {
                self.changed = true;
                self.written += writer.nodes.len();
                if self.written > MAX_NODES {
                    let message = format!("more than {MAX_NODES} nodes after rewriting");
                    return Err(Error::TooLarge(message));
                }
                for written in &writer.nodes {
                    known.place(written)?;
                }
                nodes.append(&mut writer.nodes);
            } else {
                known.place(&node)?;
                stated::without_rule(&node)?;
                known.learn(&node);
                nodes.push(node);
            }
        }
        graph.node = nodes;
        Ok(())
    }
}

/// Writes what stands for a node, and says whether anything does.
fn rule(node: &Node, known: &Known, writer: &mut Writer) -> bool {
    for (index, name) in node.0.input.iter().enumerate() {
        writer.bind(&format!("in{index}"), Some(name));
    }
    for (index, name) in node.0.output.iter().enumerate() {
        writer.bind(&format!("out{index}"), Some(name));
    }
    match node.0.op_type.as_deref().unwrap_or_default() {
        "Attention" => attention::attention(node, known, writer),
        "AveragePool" | "MaxPool" => pool::pool(node, writer),
        "GRU" => recurrent::gru(node, writer),
        "LSTM" => recurrent::lstm(node, writer),
        "NonMaxSuppression" => boxes::non_max_suppression(node, writer),
        "Conv" | "ConvInteger" => pool::convolution(node, writer),
        "QuantizeLinear" => quantize::quantize(node, writer),
        "DynamicQuantizeLinear" => quantize::dynamic(writer),
        "GridSample" => sample::grid_sample(node, known, writer),
        "Resize" => resize::resize(node, known, writer),
        operator => plain::plain(operator, node, known, writer),
    }
}

/// A node, and how to ask it.
pub(super) struct Node<'a>(pub(super) &'a NodeProto);

impl<'a> Node<'a> {
    fn attribute(&self, name: &str) -> Option<&'a rten_onnx::onnx::AttributeProto> {
        let mut attributes = self.0.attribute.iter();
        attributes.find(|it| it.name.as_deref() == Some(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.i
    }

    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name)?.f
    }

    pub(super) fn ints(&self, name: &str) -> &'a [i64] {
        self.attribute(name).map_or(&[], |it| &it.ints)
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&'a rten_onnx::onnx::TensorProto> {
        self.attribute(name)?.t.as_ref()
    }

    pub(super) fn words(&self, name: &str) -> Option<&'a str> {
        self.attribute(name)?.s.as_deref()
    }

    /// An input that is given.
    pub(super) fn input(&self, index: usize) -> Option<&'a String> {
        self.0.input.get(index).filter(|name| !name.is_empty())
    }

    /// Whether an output is wanted.
    pub(super) fn wants(&self, index: usize) -> bool {
        self.0
            .output
            .get(index)
            .is_some_and(|name| !name.is_empty())
    }
}
