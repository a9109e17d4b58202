//! What several targets answered to the same cases, bit for bit: layer L2 across targets.

use super::CompareError;
use crate::{
    conform::answers::{Answer, Answers, CaseId, Run},
    outcome::Whole,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// A run of one target.
pub struct Side {
    /// Where it was read from.
    pub folder: PathBuf,
    /// How it was made.
    pub run: Run,
    /// What its engines answered.
    pub answers: Answers,
}

/// What the comparison found.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// `fail` if an answer differs, a worker was lost, or a target was not asked what another one was.
    pub verdict: Whole,
    /// Cases of all modules.
    pub cases: usize,
    /// Cases that two runs answered, or more.
    pub compared: usize,
    /// One per run.
    pub targets: Vec<Target>,
    /// One per run and engine.
    pub cells: Vec<Cell>,
    /// Cases with more than one answer.
    pub differences: Vec<Difference>,
}

/// A run.
#[derive(Debug, Serialize)]
pub struct Target {
    /// Results folder.
    pub folder: String,
    /// What the harness was built for.
    pub target: String,
    /// How it shows that it was emulated, if it was.
    pub emulated: Option<String>,
}

/// An engine of a run.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// Results folder.
    pub folder: String,
    /// What the harness was built for.
    pub target: String,
    /// Engine id.
    pub runtime: String,
    /// Its version.
    pub version: String,
    /// Cases for which it answers as most do.
    pub agree: usize,
    /// Cases for which it does not; without a majority all differ.
    pub differ: usize,
    /// Cases in which its worker was lost.
    pub lost: usize,
    /// Cases that it cannot run, or did not.
    pub not_run: usize,
    /// Cases that it was not asked, of modules of which it was asked others, or of base modules, which every engine runs.
    pub not_asked: usize,
    /// Cases that no other run answered: nothing to compare with.
    pub alone: usize,
    /// The first case that differs.
    pub first: Option<CaseId>,
}

/// A case with more than one answer.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Which.
    #[serde(flatten)]
    pub id: CaseId,
    /// Each answer with those who gave it, as `folder: engine`.
    pub answers: Vec<(String, Vec<String>)>,
}

/// Reads the runs.
///
/// # Errors
/// What cannot be read; [`CompareError::OtherCases`] for runs of other packs or other cases.
pub fn read(folders: &[PathBuf]) -> anyhow::Result<Vec<Side>> {
    let mut sides: Vec<Side> = Vec::new();
    for folder in folders {
        let (run, answers) = Answers::read(folder)?;
        if let Some(first) = sides.first() {
            same_question(first, folder, &run)?;
        }
        sides.push(Side {
            folder: folder.clone(),
            run,
            answers,
        });
    }
    Ok(sides)
}

fn same_question(first: &Side, folder: &Path, run: &Run) -> Result<(), CompareError> {
    let of = &first.run;
    let differs = if of.pack.manifest_sha256 != run.pack.manifest_sha256 {
        Some("the packs are not the same".to_owned())
    } else if of.seed != run.seed {
        Some(format!("the seeds are {} and {}", of.seed, run.seed))
    } else if of.cases != run.cases {
        Some(format!(
            "they have {} and {} generated cases per kernel",
            of.cases, run.cases
        ))
    } else if of.cases_sha256 != run.cases_sha256 {
        Some("the kernels, vectors or inputs are not the same".to_owned())
    } else {
        None
    };
    match differs {
        None => Ok(()),
        Some(differs) => Err(CompareError::OtherCases {
            first: first.folder.clone(),
            other: folder.to_owned(),
            differs,
        }),
    }
}

/// Compares runs of the same cases.
///
/// # Errors
/// [`CompareError::NothingAnswered`].
pub fn compare(sides: &[Side]) -> Result<Comparison, CompareError> {
    let ids: BTreeSet<&CaseId> = sides
        .iter()
        .flat_map(|side| side.answers.0.keys())
        .collect();
    let mut cells: BTreeMap<(usize, &str), Cell> = BTreeMap::new();
    for (index, side) in sides.iter().enumerate() {
        for (runtime, version) in &side.run.engines {
            let cell = Cell {
                folder: side.folder.display().to_string(),
                target: side.run.target.clone(),
                runtime: runtime.clone(),
                version: version.clone(),
                agree: 0,
                differ: 0,
                lost: 0,
                not_run: 0,
                not_asked: 0,
                alone: 0,
                first: None,
            };
            cells.insert((index, runtime), cell);
        }
    }
    let asked = asked(sides);
    let mut compared = 0;
    let mut differences = Vec::new();
    for &id in &ids {
        let mut groups: BTreeMap<&Answer, Vec<(usize, &str)>> = BTreeMap::new();
        for ((index, runtime), cell) in &mut cells {
            let answers = sides[*index].answers.0.get(id);
            match answers.and_then(|answers| answers.get(*runtime)) {
                None => {
                    cell.not_run += 1;
                    let module = (*index, *runtime, &*id.kernel, &*id.variant);
                    if id.variant == "base" || asked.contains(&module) {
                        cell.not_asked += 1;
                    }
                }
                Some(Answer::Unsupported) => cell.not_run += 1,
                Some(Answer::Lost) => cell.lost += 1,
                Some(answer) => groups.entry(answer).or_default().push((*index, *runtime)),
            }
        }
        let who = groups.values().flatten();
        let answered: BTreeSet<usize> = who.map(|(index, _)| *index).collect();
        compared += usize::from(answered.len() > 1);
        let all: usize = groups.values().map(Vec::len).sum();
        for group in groups.values() {
            for key in group {
                let Some(cell) = cells.get_mut(key) else {
                    continue;
                };
                if answered.len() < 2 && groups.len() < 2 {
                    cell.alone += 1;
                } else if group.len() * 2 > all {
                    cell.agree += 1;
                } else {
                    cell.differ += 1;
                    cell.first.get_or_insert_with(|| id.clone());
                }
            }
        }
        if groups.len() > 1 {
            let name = |(index, runtime): &(usize, &str)| {
                format!("{}: {runtime}", sides[*index].folder.display())
            };
            differences.push(Difference {
                id: id.clone(),
                answers: groups
                    .iter()
                    .map(|(answer, who)| (answer.words(), who.iter().map(name).collect()))
                    .collect(),
            });
        }
    }
    let cells: Vec<Cell> = cells.into_values().collect();
    if cells.iter().all(|cell| cell.agree + cell.differ == 0) {
        return Err(CompareError::NothingAnswered);
    }
    let bad = cells
        .iter()
        .any(|cell| cell.differ + cell.lost + cell.not_asked > 0);
    Ok(Comparison {
        verdict: Whole::of(bad),
        cases: ids.len(),
        compared,
        targets: sides
            .iter()
            .map(|side| Target {
                folder: side.folder.display().to_string(),
                target: side.run.target.clone(),
                emulated: side.run.emulated.clone(),
            })
            .collect(),
        cells,
        differences,
    })
}

/// Modules of which an engine of a run answered a case: the run, the engine, the kernel and the variant.
fn asked(sides: &[Side]) -> BTreeSet<(usize, &str, &str, &str)> {
    let mut asked = BTreeSet::new();
    for (index, side) in sides.iter().enumerate() {
        for (id, answers) in &side.answers.0 {
            let engines = answers.keys();
            asked.extend(engines.map(|engine| (index, &**engine, &*id.kernel, &*id.variant)));
        }
    }
    asked
}
