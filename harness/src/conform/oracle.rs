//! Oracles: programs beside the workers that say what a call answers, in f64. docs/oracle-protocol.md describes the wire.
//!
//! A pack names operators, never programs: which program is asked is the user's choice, or the one of this project that is built in.

use crate::output::printable;
use assay_worker::{Launch, Program, TimeLimit};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kernel_cases::{
    case::Case,
    number,
    open::{Call, Tensor, Values},
    tolerance::check_magnitudes,
};
use kernel_pack::contract::{Attribute, Onnx, Operand};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Version of the protocol.
const PROTOCOL: u32 = 1;
/// How long one answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// How long an oracle may take to start: Python reads many files.
const HELLO_TIME: Duration = Duration::from_secs(60);
/// The oracle of ONNX operators, as it lies in the repository: a build of `assay` has it with it wherever it is.
const ONNX_ORACLE: &str = include_str!("../../../oracles/onnx/oracle.py");
/// The Python that runs it.
pub const PYTHON_VARIABLE: &str = "ASSAY_PYTHON";
/// The packages that it needs.
const ONNX_REQUIREMENTS: &str = include_str!("../../../oracles/onnx/requirements.txt");

/// An oracle that answers.
pub struct Oracle {
    program: Result<Program, String>,
    /// What it calls itself, with its version.
    name: String,
    requests: u64,
    /// Nothing is waited for longer.
    limit: TimeLimit,
}

/// What is asked of an oracle.
pub struct Question<'a> {
    /// The operator, or the kernel.
    operator: &'a str,
    version: Option<u32>,
    attributes: Map<String, Value>,
    inputs: Vec<Value>,
    /// For each output of the operator the index of the kernel's, if anybody wants it.
    outputs: Vec<Option<usize>>,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    hello: Option<Hello>,
    #[serde(default)]
    evaluated: Option<Evaluated>,
    #[serde(default)]
    failed: Option<String>,
}

#[derive(Deserialize)]
struct Hello {
    protocol: u32,
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Evaluated {
    outputs: Vec<Option<Answer>>,
}

#[derive(Deserialize)]
struct Answer {
    shape: Vec<u64>,
    data: String,
    #[serde(default)]
    magnitude: Option<String>,
}

impl Oracle {
    /// The oracle of ONNX operators.
    ///
    /// # Errors
    /// Why there is none on this machine, and what adds it.
    pub fn onnx(limit: TimeLimit) -> Result<Self, String> {
        let python = std::env::var_os(PYTHON_VARIABLE).unwrap_or_else(|| "python3".into());
        let arguments = vec!["-c".into(), ONNX_ORACLE.into()];
        // It needs nothing of the folder that `assay` was called in, which may be a pack's.
        let launch = Launch {
            folder: Some("/".into()),
            ..Launch::foreign("onnx", python.into(), arguments)
        };
        Self::start(&launch, limit).map_err(|reason| {
            // A traceback ends with what is missing.
            let last = reason.rsplit(" / ").next().unwrap_or(&reason);
            let packages: Vec<&str> = ONNX_REQUIREMENTS.split_whitespace().collect();
            format!(
                "{last}; it needs a python3, in the path or named by {PYTHON_VARIABLE}, with these packages: pip install {}",
                packages.join(" ")
            )
        })
    }

    /// A program of the user's.
    ///
    /// # Errors
    /// Why it does not answer.
    pub fn of_user(kernel: &str, command: &[String], limit: TimeLimit) -> Result<Self, String> {
        let (program, arguments) = command.split_first().ok_or("the command is empty")?;
        let arguments = arguments.iter().map(Into::into).collect();
        Self::start(&Launch::foreign(kernel, program.into(), arguments), limit)
    }

    fn start(launch: &Launch, limit: TimeLimit) -> Result<Self, String> {
        let mut oracle = Self {
            program: Program::start(launch),
            name: launch.id.clone(),
            requests: 0,
            limit,
        };
        let hello = json!({ "op": "hello", "protocol": PROTOCOL });
        let reply = oracle.ask(hello, HELLO_TIME)?;
        let hello = reply.hello.ok_or("its first reply is no hello")?;
        if hello.protocol != PROTOCOL {
            return Err(format!(
                "it speaks version {} of the protocol, not {PROTOCOL}",
                hello.protocol
            ));
        }
        oracle.name = printable(&format!("{} {}", hello.name, hello.version));
        Ok(oracle)
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Nothing that is asked from now on is waited for longer.
    pub fn end_by(&mut self, limit: TimeLimit) {
        self.limit = limit;
    }

    /// What the outputs of the call are, in its order.
    ///
    /// # Errors
    /// Why the oracle does not say.
    pub fn evaluate(&mut self, call: &Call, question: Question<'_>) -> Result<Vec<Values>, String> {
        let names: Vec<&str> = question
            .outputs
            .iter()
            .map(|index| index.map_or("", |index| call.outputs[index].name.as_str()))
            .collect();
        let mut request = json!({
            "op": "evaluate",
            "operator": question.operator,
            "attributes": question.attributes,
            "inputs": question.inputs,
            "outputs": names,
        });
        if let Some(version) = question.version {
            request["version"] = version.into();
        }
        let reply = self.ask(request, ANSWER_TIME)?;
        let evaluated = reply.evaluated.ok_or("its reply has no `evaluated`")?;
        if evaluated.outputs.len() != question.outputs.len() {
            return Err(format!(
                "it answers {} outputs where {} were asked for",
                evaluated.outputs.len(),
                question.outputs.len()
            ));
        }
        let mut values: Vec<Option<Values>> = vec![None; call.outputs.len()];
        for (answer, index) in evaluated.outputs.into_iter().zip(question.outputs) {
            if let (Some(answer), Some(index)) = (answer, index) {
                values[index] = Some(answer.values(&call.outputs[index])?);
            }
        }
        let all: Option<Vec<Values>> = values.into_iter().collect();
        all.ok_or_else(|| "it leaves an output out".to_owned())
    }

    fn ask(&mut self, mut request: Value, time: Duration) -> Result<Reply, String> {
        if self.limit.is_reached() {
            return Err(self.limit.to_string());
        }
        self.requests += 1;
        request["id"] = self.requests.into();
        let program = match &mut self.program {
            Ok(program) => program,
            Err(reason) => return Err(reason.clone()),
        };
        let time = time.min(self.limit.left());
        let line = match program.ask(&request.to_string(), time) {
            Ok(line) => line,
            Err(reason) => {
                // Nothing that it might still say belongs to the next question.
                self.program = Err(reason.clone());
                return Err(reason);
            }
        };
        let value: Value = serde_json::from_slice(&line)
            .map_err(|error| format!("its reply is no JSON: {error}"))?;
        if value.get("id") != Some(&request["id"]) {
            let reason = "its reply is to another request".to_owned();
            self.program = Err(reason.clone());
            return Err(reason);
        }
        let reply: Reply = serde_json::from_value(value)
            .map_err(|error| format!("its reply is none of the protocol: {error}"))?;
        match reply.failed {
            Some(reason) => Err(printable(&reason)),
            None => Ok(reply),
        }
    }
}

impl Answer {
    fn values(self, tensor: &Tensor) -> Result<Values, String> {
        let decode = |text: &str| -> Result<Vec<f64>, String> {
            let bytes = BASE64
                .decode(text)
                .map_err(|error| format!("its data is no base64: {error}"))?;
            let (words, rest) = bytes.as_chunks();
            let values: Vec<f64> = words.iter().map(|word| f64::from_le_bytes(*word)).collect();
            if !rest.is_empty() || values.len() != tensor.elements() {
                return Err(format!(
                    "it gives {} values for the {} elements of {}",
                    values.len(),
                    tensor.elements(),
                    tensor.name
                ));
            }
            Ok(values)
        };
        // Dimensions of 1 are the same tensor.
        let theirs = self.shape.iter().copied().filter(|length| *length != 1);
        let due = tensor.shape.iter().map(|length| u64::from(*length));
        if !theirs.eq(due.filter(|length| *length != 1)) {
            return Err(format!(
                "it gives {} the shape {:?} where {:?} is due",
                tensor.name, self.shape, tensor.shape
            ));
        }
        let values = decode(&self.data)?;
        let magnitude = self.magnitude.as_deref().map(decode).transpose()?;
        if let Some(magnitude) = &magnitude {
            check_magnitudes(magnitude, &values)?;
        }
        Ok(Values { values, magnitude })
    }
}

impl<'a> Question<'a> {
    /// What an operator of ONNX gives for the call.
    pub fn onnx(onnx: &'a Onnx, case: &Case, call: &Call) -> Self {
        let attributes = onnx.attributes.iter();
        Self {
            operator: &onnx.op,
            version: Some(onnx.version),
            attributes: attributes
                .map(|(name, attribute)| (name.clone(), value_of(attribute, call)))
                .collect(),
            inputs: onnx
                .inputs
                .iter()
                .map(|operand| match operand {
                    Operand::Tensor(name) => call
                        .inputs
                        .iter()
                        .find(|tensor| tensor.name == *name)
                        .map_or(Value::Null, |tensor| array(case, call, tensor)),
                    Operand::Param(name) => scalar(call, name),
                    Operand::Absent => Value::Null,
                })
                .collect(),
            outputs: onnx
                .outputs
                .iter()
                .map(|name| call.outputs.iter().position(|tensor| tensor.name == *name))
                .collect(),
        }
    }

    /// What a kernel gives for the call.
    pub fn kernel(kernel: &'a str, case: &Case, call: &Call) -> Self {
        let params = call.contract.params.iter();
        Self {
            operator: kernel,
            version: None,
            attributes: params
                .filter_map(|(name, param)| {
                    Some((
                        name.clone(),
                        number_of(*call.values.get(name)?, param.kind()),
                    ))
                })
                .collect(),
            inputs: call
                .inputs
                .iter()
                .map(|tensor| array(case, call, tensor))
                .collect(),
            outputs: (0..call.outputs.len()).map(Some).collect(),
        }
    }
}

fn array(case: &Case, call: &Call, tensor: &Tensor) -> Value {
    json!({
        "name": tensor.name,
        "dtype": tensor.dtype.name(),
        "shape": tensor.shape,
        "data": BASE64.encode(call.input(case, tensor)),
    })
}

/// A parameter as a tensor without dimensions.
fn scalar(call: &Call, name: &str) -> Value {
    let param = call.contract.params.iter().find(|(param, _)| param == name);
    let (Some((_, param)), Some(value)) = (param, call.values.get(name)) else {
        return Value::Null;
    };
    let dtype = kernel_pack::Dtype::parse(param.kind());
    let bytes = dtype.and_then(|dtype| number::encode(dtype, *value));
    json!({
        "name": name,
        "dtype": param.kind(),
        "shape": [],
        "data": BASE64.encode(bytes.unwrap_or_default()),
    })
}

fn number_of(value: f64, kind: &str) -> Value {
    match kind {
        "f32" => json!(value),
        _ => json!(value as i64),
    }
}

fn value_of(attribute: &Attribute, call: &Call) -> Value {
    match attribute {
        Attribute::Integer(value) => json!(value),
        Attribute::Number(value) => json!(value),
        Attribute::Text(text) => json!(text),
        Attribute::List(items) => items.iter().map(|item| value_of(item, call)).collect(),
        Attribute::Axis(name) => call
            .values
            .get(name)
            .map_or(Value::Null, |value| json!(*value as i64)),
        Attribute::Param(name) => {
            let param = call.contract.params.iter().find(|(param, _)| param == name);
            match (param, call.values.get(name)) {
                (Some((_, param)), Some(value)) => number_of(*value, param.kind()),
                _ => Value::Null,
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::time::Instant;

    /// What an oracle that greets and then says nothing answers, by its first question and its second.
    #[test]
    fn one_that_hangs_is_stopped_and_gives_no_answer() {
        let program = r#"read line; echo '{"id":1,"hello":{"protocol":1,"name":"a","version":"1"}}'; exec sleep 1000"#;
        let arguments = vec!["-c".into(), program.into()];
        let launch = Launch::foreign("hangs", "sh".into(), arguments);
        let mut oracle = Oracle::start(&launch, TimeLimit::new("the test", ANSWER_TIME))
            .unwrap_or_else(|reason| panic!("{reason}"));
        let begin = Instant::now();
        for _ in 0..2 {
            let question = json!({ "op": "evaluate" });
            assert!(oracle.ask(question, Duration::from_millis(200)).is_err());
        }
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
}
