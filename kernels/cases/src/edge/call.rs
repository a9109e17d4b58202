//! How rows of the tables are written.

use super::super::case::{Case, Entry, Source, Tweak, Word};
use kernel_abi::Status;

pub(super) const OK: Status = Status::OK;
pub(super) const INPUT: Status = Status::INVALID_INPUT;
pub(super) const OUTPUT: Status = Status::INVALID_OUTPUT;
pub(super) const PARAMS: Status = Status::INVALID_PARAMS;
pub(super) const SCRATCH: Status = Status::OUT_OF_MEMORY;
pub(super) const NOT_IMPLEMENTED: Status = Status::NOT_IMPLEMENTED;

/// A call, without what is expected of it.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) entry: Entry,
    pub(super) params: Vec<u8>,
    pub(super) a: Vec<u8>,
    pub(super) b: Vec<u8>,
    pub(super) output_size: u32,
    pub(super) base: Option<Vec<u8>>,
    pub(super) scratch_size: u32,
    pub(super) tweaks: Vec<Tweak>,
}

impl Call {
    /// A forward call without input b and scratch.
    pub(super) fn new(params: impl Into<Vec<u8>>, a: Vec<u8>, output_size: usize) -> Self {
        Self {
            entry: Entry::Forward,
            params: params.into(),
            a,
            b: Vec::new(),
            output_size: output_size as u32,
            base: None,
            scratch_size: 0,
            tweaks: Vec::new(),
        }
    }

    pub(super) fn backward(self) -> Self {
        Self {
            entry: Entry::Backward,
            base: None,
            ..self
        }
    }

    pub(super) fn params(self, params: impl Into<Vec<u8>>) -> Self {
        Self {
            params: params.into(),
            ..self
        }
    }

    /// The first `length` bytes of the parameters, with zeros behind them where they are shorter.
    pub(super) fn params_length(mut self, length: usize) -> Self {
        self.params.resize(length, 0);
        self
    }

    pub(super) fn a(self, a: Vec<u8>) -> Self {
        Self { a, ..self }
    }

    pub(super) fn b(self, b: Vec<u8>) -> Self {
        Self { b, ..self }
    }

    /// What the output holds on entry.
    pub(super) fn base(self, base: Vec<u8>) -> Self {
        Self {
            output_size: base.len() as u32,
            base: Some(base),
            ..self
        }
    }

    /// An output of another size, with nothing in it on entry.
    pub(super) fn output_size(self, output_size: usize) -> Self {
        Self {
            output_size: output_size as u32,
            base: None,
            ..self
        }
    }

    pub(super) fn scratch(self, scratch_size: u32) -> Self {
        Self {
            scratch_size,
            ..self
        }
    }

    pub(super) fn tweak(mut self, tweak: Tweak) -> Self {
        self.tweaks.push(tweak);
        self
    }

    pub(super) fn set(self, word: Word, value: u32) -> Self {
        self.tweak(Tweak::Set(word, value))
    }

    pub(super) fn add(self, word: Word, by: i32) -> Self {
        self.tweak(Tweak::Add(word, by))
    }

    pub(super) fn copy(self, word: Word, from: Word, by: i32) -> Self {
        self.tweak(Tweak::Copy(word, from, by))
    }
}

/// The cases of a kernel in the making.
pub(super) struct Table {
    kernel: String,
    cases: Vec<Case>,
}

impl Table {
    pub(super) fn new(kernel: &str) -> Self {
        Self {
            kernel: kernel.to_owned(),
            cases: Vec::new(),
        }
    }

    #[cfg(feature = "generate")]
    pub(super) fn kernel(&self) -> &str {
        &self.kernel
    }

    /// Adds a row: a call, and the status that is due.
    pub(super) fn row(&mut self, name: impl AsRef<str>, expect: Status, call: Call) {
        self.cases.push(Case {
            kernel: self.kernel.clone(),
            entry: call.entry,
            source: Source::Edge,
            name: format!("edge:{}", name.as_ref()),
            params: call.params,
            a: call.a,
            b: call.b,
            output_size: call.output_size,
            base: call.base,
            scratch_size: call.scratch_size,
            tweaks: call.tweaks,
            expect: expect.0,
            external: Vec::new(),
            stress: false,
            open: None,
        });
    }

    /// The parameters that a forward call like `forward` is refused for, once more in a gradient call, which is refused for them too: values, and
    /// dimensions of which no tensor is. Rows that are there already stay as they are.
    pub(super) fn refuse_in_gradient(&mut self, forward: &Call, gradient: &Call) {
        let refused = self.cases.iter().filter(|case| {
            let status = Status(case.expect);
            let same_tensors = case.a == forward.a && case.b == forward.b;
            let no_tensor = case.name.contains("wraps") || case.name.contains("2^32");
            case.entry == Entry::Forward
                && (status == PARAMS || status == INPUT && no_tensor)
                && case.params != forward.params
                && same_tensors
        });
        let repeated: Vec<Case> = refused
            .map(|case| Case {
                entry: gradient.entry,
                name: case.name.replacen("edge:", "edge:backward-", 1),
                a: gradient.a.clone(),
                b: gradient.b.clone(),
                output_size: gradient.output_size,
                base: None,
                scratch_size: gradient.scratch_size,
                ..case.clone()
            })
            .collect();
        for case in repeated {
            if self.cases.iter().all(|known| known.name != case.name) {
                self.cases.push(case);
            }
        }
    }

    pub(super) fn into_cases(self) -> Vec<Case> {
        self.cases
    }
}
