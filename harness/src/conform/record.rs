//! What is kept of a conformance run: one JSON line per case and engine, sums per (runtime, kernel, variant, layer, source),
//! and the failing cases with their bytes.

use super::{
    judge::{Judgement, Layer, Layers},
    observe::{Ended, Observed},
    run::Judged,
    shrink::{self, Smallest},
    subject::Prepared,
};
use crate::{
    outcome::{Counts, Outcome},
    results::{Folder, Lines},
};
use anyhow::Result;
use kernel_cases::case::{Case, Source};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// Name of the file of judged cases in a results folder.
pub const LINES: &str = "results.jsonl";

/// Failing cases per (runtime, kernel, layer) that are listed one by one with their bytes; the JSON lines have all.
pub const MAX_LISTED: u64 = 10;

/// An entry of `results`: a sum of cases, or one failing case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Engine id.
    pub runtime: String,
    /// Kernel id.
    pub kernel: String,
    /// `base`, the variant's features, or the name of a form that the pack brings compiled.
    pub variant: String,
    /// Where the cases come from.
    pub source: Source,
    /// The failing case; `None` for a sum.
    pub case: Option<String>,
    /// The layer.
    pub layer: Layer,
    /// For a sum: fail or error if any case is, else pass if any case is.
    pub outcome: Outcome,
    /// What differs, or why the layer does not apply; for a sum of its worst case.
    pub detail: String,
    /// Largest distance from the expectation in units in the last place.
    pub max_ulp: Option<f64>,
    /// Number of cases.
    pub cases: u64,
    /// How many of them passed.
    pub passed: u64,
    /// For a failing case: the folder, below the results folder, that holds its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
    /// For the first failing case that can be made smaller: the smallest call found that still fails this layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrunk: Option<String>,
    /// For a failing case: the command that repeats it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
}

/// Makes the command that repeats a case, from runtime, kernel, variant, case name and layer.
pub type Repeat<'a> = dyn Fn(&str, &str, &str, &str, Layer) -> String + 'a;

/// Gathers judged cases into a results folder and into sums.
pub struct Recorder<'a> {
    folder: &'a Folder,
    lines: Lines,
    runtimes: Vec<String>,
    repeat: &'a Repeat<'a>,
    sums: Sums,
    failures: Vec<Entry>,
    listed: BTreeMap<(usize, String, Layer), u64>,
    written: BTreeSet<String>,
    /// Cases that failed, for shrinking: the first that can be made smaller, per engine, module and layer.
    pub to_shrink: Vec<ToShrink>,
}

/// A failing case to be made smaller.
#[derive(Clone, Debug, PartialEq)]
pub struct ToShrink {
    /// Index of the engine.
    pub engine: usize,
    /// Kernel id.
    pub kernel: String,
    /// Variant.
    pub variant: String,
    /// Name of the case.
    pub case: String,
    /// The layers that failed, for the same reason.
    pub layers: Vec<Layer>,
    /// The reason.
    pub detail: String,
}

/// A judged case on an engine: a line of [`LINES`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line<'a> {
    /// Engine id.
    pub runtime: Cow<'a, str>,
    /// Kernel id.
    pub kernel: Cow<'a, str>,
    /// `base` or the variant's features.
    pub variant: Cow<'a, str>,
    /// Where the case comes from.
    pub source: Source,
    /// Name of the case; `edge:module` for the module as a whole.
    pub case: Cow<'a, str>,
    /// The layers.
    pub layers: Cow<'a, Layers>,
}

impl Line<'_> {
    /// A bad outcome names its case, for a sum shows its worst.
    fn detail(&self, judgement: &Judgement) -> String {
        if judgement.outcome.is_bad() {
            format!("{}: {}", self.case, judgement.detail)
        } else {
            judgement.detail.clone()
        }
    }

    fn entry(&self, layer: Layer, judgement: &Judgement) -> Entry {
        Entry {
            runtime: self.runtime.clone().into_owned(),
            kernel: self.kernel.clone().into_owned(),
            variant: self.variant.clone().into_owned(),
            source: self.source,
            case: None,
            layer,
            outcome: judgement.outcome,
            detail: self.detail(judgement),
            max_ulp: judgement.max_ulp,
            cases: 0,
            passed: 0,
            bytes: None,
            shrunk: None,
            repeat: None,
        }
    }
}

/// Lines summed up per engine, module, layer and source.
#[derive(Debug)]
pub struct Sums {
    runtimes: Vec<String>,
    sums: BTreeMap<(usize, String, String, Layer, Source), Entry>,
    /// Outcomes of all (case, layer) pairs.
    pub counts: Counts,
}

impl Sums {
    /// Of a run on these engines, in the order of reports.
    pub fn new(runtimes: Vec<String>) -> Self {
        Self {
            runtimes,
            sums: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// Adds a line; false if its engine was no part of the run.
    pub fn add(&mut self, line: &Line<'_>) -> bool {
        let Some(engine) = self.runtimes.iter().position(|id| *id == line.runtime) else {
            return false;
        };
        for (layer, judgement) in line.layers.iter() {
            self.counts.add(judgement.outcome);
            let key = (
                engine,
                line.kernel.clone().into_owned(),
                line.variant.clone().into_owned(),
                *layer,
                line.source,
            );
            let sum = self
                .sums
                .entry(key)
                .or_insert_with(|| line.entry(*layer, judgement));
            sum.cases += 1;
            sum.passed += u64::from(judgement.outcome == Outcome::Pass);
            sum.max_ulp = match (sum.max_ulp, judgement.max_ulp) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            };
            // Worst first; but a layer that holds for some cases and does not apply to others has passed.
            let rank = |outcome: Outcome| match outcome {
                Outcome::Fail => 5,
                Outcome::Error => 4,
                Outcome::KnownFailure => 3,
                Outcome::Pass => 2,
                Outcome::Unsupported | Outcome::Unjudged => 1,
                Outcome::Absent => 0,
            };
            if rank(judgement.outcome) > rank(sum.outcome) {
                sum.outcome = judgement.outcome;
                sum.detail = line.detail(judgement);
            }
        }
        true
    }

    /// The sums, by engine, module, layer and source.
    pub fn into_entries(self) -> impl Iterator<Item = Entry> {
        self.sums.into_values()
    }
}

impl<'a> Recorder<'a> {
    /// Starts the folder's [`LINES`]. `repeat` makes the command that repeats a case.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn new(folder: &'a Folder, runtimes: Vec<String>, repeat: &'a Repeat<'a>) -> Result<Self> {
        Ok(Self {
            lines: folder.lines(LINES)?,
            folder,
            sums: Sums::new(runtimes.clone()),
            runtimes,
            repeat,
            failures: Vec::new(),
            listed: BTreeMap::new(),
            written: BTreeSet::new(),
            to_shrink: Vec::new(),
        })
    }

    /// Keeps a judged case.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn push(&mut self, judged: &Judged<'_>) -> Result<()> {
        let source = judged.source;
        let subject = judged.subject;
        let line = Line {
            runtime: Cow::Borrowed(&self.runtimes[judged.engine]),
            kernel: Cow::Borrowed(&subject.kernel),
            variant: Cow::Borrowed(&subject.variant),
            source,
            case: Cow::Borrowed(&judged.name),
            layers: Cow::Borrowed(&judged.layers),
        };
        self.lines.push(&line)?;
        self.sums.add(&line);
        let bad = judged.layers.iter();
        let bad = bad.filter(|(_, judgement)| judgement.outcome.is_bad());
        let bad: Vec<Entry> = bad
            .map(|(layer, judgement)| line.entry(*layer, judgement))
            .collect();
        bad.into_iter()
            .try_for_each(|entry| self.list(judged, entry))
    }

    /// Lists a failing case with its bytes, if there are not too many of its kind.
    fn list(&mut self, judged: &Judged<'_>, entry: Entry) -> Result<()> {
        let subject = judged.subject;
        let layer = entry.layer;
        let listed = self
            .listed
            .entry((judged.engine, subject.kernel.clone(), layer))
            .or_default();
        *listed += 1;
        if *listed > MAX_LISTED {
            return Ok(());
        }
        let runtime = entry.runtime.clone();
        let bytes = match judged.case {
            Some(prepared) => {
                let name = folder_name(&runtime, &subject.kernel, &subject.variant, &judged.name);
                if self.written.insert(name.clone()) {
                    write_case(self.folder, &name, &prepared.case)?;
                    self.folder
                        .file(&format!("{name}/native.bin"), prepared.native_output())?;
                    if let Some(Observed {
                        ended: Ended::Status { output, .. },
                        ..
                    }) = judged.observed
                    {
                        let output = output.as_deref().unwrap_or(prepared.native_output());
                        self.folder.file(&format!("{name}/output.bin"), output)?;
                    }
                }
                Some(name)
            }
            None => None,
        };
        if entry.outcome == Outcome::Fail {
            self.keep_to_shrink(judged, layer, &entry.detail);
        }
        self.failures.push(Entry {
            case: Some(judged.name.clone()),
            cases: 1,
            passed: 0,
            bytes,
            repeat: Some((self.repeat)(
                &runtime,
                &subject.kernel,
                &subject.variant,
                &judged.name,
                layer,
            )),
            ..entry
        });
        Ok(())
    }

    /// Keeps a failing case to be made smaller, if it is the first of its module and layer that can be.
    fn keep_to_shrink(&mut self, judged: &Judged<'_>, layer: Layer, detail: &str) {
        let subject = judged.subject;
        let knows = |prepared: &Prepared| shrink::knows(&subject.standard, &prepared.case, layer);
        let of_module = |other: &&mut ToShrink| {
            other.engine == judged.engine
                && other.kernel == subject.kernel
                && other.variant == subject.variant
        };
        let mut others = self.to_shrink.iter_mut().filter(of_module);
        if others.any(|other| other.layers.contains(&layer)) || !judged.case.is_some_and(knows) {
            return;
        }
        let mut others = self.to_shrink.iter_mut().filter(of_module);
        let same = others.find(|other| other.case == judged.name && other.detail == detail);
        // A call that does not return fails several layers at once.
        if let Some(same) = same {
            same.layers.push(layer);
            return;
        }
        self.to_shrink.push(ToShrink {
            engine: judged.engine,
            kernel: subject.kernel.clone(),
            variant: subject.variant.clone(),
            case: judged.name.clone(),
            layers: vec![layer],
            detail: detail.to_owned(),
        });
    }

    /// Adds what shrinking found to the entries of a failing case.
    pub fn shrunk(&mut self, of: &ToShrink, what: &str) {
        for failure in &mut self.failures {
            if failure.runtime == self.runtimes[of.engine]
                && failure.kernel == of.kernel
                && failure.variant == of.variant
                && failure.case.as_deref() == Some(&of.case)
                && of.layers.contains(&failure.layer)
            {
                failure.shrunk = Some(what.to_owned());
            }
        }
    }

    /// Writes the smallest call found of a failing case beside its own bytes, and the one that its answer follows from.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write_shrunk(&self, of: &ToShrink, smallest: &Smallest) -> Result<()> {
        let name = folder_name(&self.runtimes[of.engine], &of.kernel, &of.variant, &of.case);
        for layer in &of.layers {
            let name = format!("{name}/smallest-{layer:?}");
            write_case(self.folder, &name, &smallest.case)?;
            if let Some(other) = &smallest.of {
                write_case(self.folder, &format!("{name}-of"), other)?;
            }
        }
        Ok(())
    }

    /// The sums, then the failing cases; and how many pairs of case and layer ended in which way.
    pub fn finish(self) -> (Vec<Entry>, Counts) {
        let counts = self.sums.counts;
        let sums = self.sums.into_entries();
        (sums.chain(self.failures).collect(), counts)
    }
}

/// Folder of a failing case below the results folder. Case names come from vector files: only harmless characters stay.
pub fn folder_name(runtime: &str, kernel: &str, variant: &str, case: &str) -> String {
    format!(
        "failures/{}-{}-{}-{}",
        clean(runtime),
        clean(kernel),
        clean(variant),
        clean(case)
    )
}

fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                c
            } else {
                '-'
            }
        })
        .take(60)
        .collect()
}

/// Writes a case as `case.json` and its tensors as raw little-endian bytes.
///
/// # Errors
/// If the folder cannot be written.
pub fn write_case(folder: &Folder, name: &str, case: &Case) -> Result<()> {
    folder.document(
        &format!("{name}/case.json"),
        &serde_json::json!({
            "kernel": case.kernel,
            "entry": case.entry,
            "source": case.source,
            "name": case.name,
            "params": hex::encode(&case.params),
            "a_bytes": case.a.len(),
            "b_bytes": case.b.len(),
            "output_bytes": case.output_size,
            "scratch_bytes": case.scratch_size,
            "tweaks": case.tweaks,
            "expected_status": case.expect,
        }),
    )?;
    for (file, bytes) in [("a", &case.a), ("b", &case.b), ("params", &case.params)] {
        folder.file(&format!("{name}/{file}.bin"), bytes)?;
    }
    if let Some(base) = &case.base {
        folder.file(&format!("{name}/base.bin"), base)?;
    }
    for external in &case.external {
        folder.file(
            &format!("{name}/expected-{}.bin", clean(&external.oracle)),
            &external.bytes,
        )?;
    }
    Ok(())
}

/// A case's shape in a line, for messages.
pub fn summary(case: &Case) -> String {
    format!(
        "params {}, a {} bytes, b {} bytes, output {} bytes, scratch {} bytes{}",
        hex::encode(&case.params),
        case.a.len(),
        case.b.len(),
        case.output_size,
        case.scratch_size,
        if case.tweaks.is_empty() {
            String::new()
        } else {
            format!(", descriptor changed: {:?}", case.tweaks)
        }
    )
}
