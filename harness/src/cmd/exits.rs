//! Which exit code an error has: the only place where errors of libraries become exits of the command line.

use crate::{
    bench::record::RecordError,
    compare::CompareError,
    exit::{Exit, Stop},
    records::RecordsError,
    registry::EngineError,
};
use std::error::Error;

/// The exit code of an error: that of the first cause that has one. Any other error is the harness's own failure.
pub fn of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(known).unwrap_or(Exit::Harness)
}

/// What `--json` prints for an error.
pub fn document(error: &anyhow::Error) -> serde_json::Value {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Stop>()?.document.clone())
        .unwrap_or_else(
            || serde_json::json!({ "error": format!("{error:#}"), "exit": of(error) as u8 }),
        )
}

fn known(cause: &(dyn Error + 'static)) -> Option<Exit> {
    if let Some(stop) = cause.downcast_ref::<Stop>() {
        return Some(stop.exit);
    }
    cause
        .downcast_ref()
        .map(engine)
        .or_else(|| cause.downcast_ref().map(records))
        .or_else(|| cause.downcast_ref().map(compare))
        .or_else(|| cause.downcast_ref().map(measurements))
}

fn engine(error: &EngineError) -> Exit {
    match error {
        EngineError::Unknown { .. }
        | EngineError::NoMatch { .. }
        | EngineError::Pattern { .. }
        | EngineError::Adapter { .. } => Exit::Usage,
        EngineError::Elsewhere { .. } | EngineError::Absent { .. } | EngineError::NoneReady => {
            Exit::EngineAbsent
        }
        EngineError::Engine(_) => Exit::Harness,
    }
}

fn records(error: &RecordsError) -> Exit {
    match error {
        RecordsError::NoFolder { .. }
        | RecordsError::Empty { .. }
        | RecordsError::Ambiguous { .. }
        | RecordsError::Damaged { .. }
        | RecordsError::NoDocument { .. } => Exit::Usage,
        RecordsError::Unreadable { .. } => Exit::Harness,
        RecordsError::Measurements(error) => measurements(error),
    }
}

fn compare(error: &CompareError) -> Exit {
    match error {
        CompareError::NotThere { .. }
        | CompareError::NoKind { .. }
        | CompareError::Unlike { .. }
        | CompareError::NothingInCommon
        | CompareError::Line { .. }
        | CompareError::OtherCases { .. }
        | CompareError::NothingAnswered
        | CompareError::NoKernel { .. }
        | CompareError::Numbers { .. } => Exit::Usage,
        CompareError::NoConformance { .. } => Exit::Harness,
        CompareError::Records(error) => records(error),
        CompareError::Pattern(error) => engine(error),
    }
}

fn measurements(error: &RecordError) -> Exit {
    match error {
        RecordError::Unreadable { .. } => Exit::Usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{exit, registry};
    use anyhow::Context as _;

    #[test]
    fn an_error_keeps_its_exit_under_what_is_said_around_it() {
        let of_chain = |error: anyhow::Error| of(&error.context("failed to do more"));
        assert_eq!(of_chain(exit::usage("wrong")), Exit::Usage);
        assert_eq!(of_chain(EngineError::NoneReady.into()), Exit::EngineAbsent);
        let pattern = registry::matchers(&["[a".to_owned()]).unwrap_err();
        assert_eq!(of_chain(CompareError::from(pattern).into()), Exit::Usage);
        let nowhere = registry::open("nowhere").map(drop);
        assert_eq!(of(&nowhere.context("open").unwrap_err()), Exit::Usage);
        let place = crate::scratch();
        let empty = crate::records::Records::read(place.path()).unwrap_err();
        let error = CompareError::from(empty).into();
        assert_eq!(of(&error), Exit::Usage);
        assert_eq!(document(&error)["exit"], 2);
        assert_eq!(of(&anyhow::anyhow!("anything else")), Exit::Harness);
    }
}
