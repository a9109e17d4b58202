//! Every broken pack is refused for its defect and for nothing else.

use std::collections::BTreeSet;

use crate::support::{self, Draft, defects, fixtures, policy, trust};
use kernel_pack::{Code, Error, Rejection, TrustList, verify};

fn rejection(result: Result<kernel_pack::Pack, Error>) -> Rejection {
    match result {
        Err(Error::Rejected(rejection)) => rejection,
        Err(other) => panic!("expected a rejection, got {other}"),
        Ok(pack) => panic!("expected a rejection, {} was accepted", pack.name()),
    }
}

#[test]
fn the_pack_they_are_made_from_is_accepted() {
    let folder = support::scratch();
    Draft::new().write(folder.path());
    let pack = verify(folder.path(), &trust(), &policy()).unwrap();
    assert_eq!(pack.name(), "tiny");
    assert_eq!(pack.kernels()[0].wasm(), support::tiny_module());
}

#[test]
fn every_broken_pack_is_refused_with_its_code() {
    let scratch = support::scratch();
    let folder = scratch.path().join("broken");
    let index = defects::write_all(&folder);
    let index = index.as_array().unwrap();
    assert!(index.len() >= 40, "{}", index.len());
    let mut wrong = Vec::new();
    let mut codes = BTreeSet::new();
    for entry in index {
        let name = entry["defect"].as_str().unwrap();
        let trust_file = entry["trust"].as_str().unwrap_or("trusted_keys");
        let started = std::time::Instant::now();
        let result = TrustList::read(&folder.join(trust_file))
            .and_then(|trust| verify(&folder.join(name), &trust, &policy()));
        let elapsed = started.elapsed();
        let found = match &result {
            Err(Error::Rejected(rejection)) => {
                codes.insert(rejection.code);
                serde_json::json!({
                    "code": rejection.code.as_str(),
                    "kernel": rejection.kernel,
                    // A trust list is named by the path it was read from.
                    "file": rejection.file.as_deref().filter(|_| entry["trust"].is_null()),
                })
            }
            Err(other) => serde_json::json!(other.to_string()),
            Ok(_) => serde_json::json!("accepted"),
        };
        let expected = serde_json::json!({
            "code": entry["code"], "kernel": entry["kernel"], "file": entry["file"],
        });
        if found != expected {
            let message = result.err().map(|error| error.to_string());
            wrong.push(format!(
                "{name}: expected {expected}, found {found}: {message:?}"
            ));
        }
        assert!(elapsed.as_secs() < 1, "{name} took {elapsed:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What these folders do not show: a file over 8 MiB, an engine's features, the memory of the host.
    let shown_elsewhere = [
        Code::FileTooLarge,
        Code::FeatureMissing,
        Code::RollbackRefused,
    ];
    for code in Code::ALL {
        assert_eq!(
            codes.contains(code),
            !shown_elsewhere.contains(code),
            "{code}"
        );
    }
}

/// A defect that is made otherwise than before shows in a diff.
#[test]
fn the_committed_index_is_what_the_generator_makes() {
    let committed = std::fs::read(fixtures().join("packs/broken.json")).unwrap();
    let committed: serde_json::Value = serde_json::from_slice(&committed).unwrap();
    let made = defects::index();
    let committed_entries = committed.as_array().unwrap();
    let made_entries = made.as_array().unwrap();
    for (committed, made) in committed_entries.iter().zip(made_entries) {
        assert_eq!(committed, made);
    }
    assert_eq!(committed_entries.len(), made_entries.len());
    let names: BTreeSet<_> = made_entries
        .iter()
        .map(|entry| entry["defect"].as_str())
        .collect();
    assert_eq!(names.len(), made_entries.len(), "two defects of one name");
}

#[test]
fn rejections_of_modules_name_kernel_and_file() {
    let folder = support::scratch();
    Draft::new()
        .module(support::extended("(memory 1)"))
        .write(folder.path());
    let rejection = rejection(verify(folder.path(), &trust(), &policy()));
    assert_eq!(rejection.kernel.as_deref(), Some("tiny"));
    assert_eq!(rejection.file.as_deref(), Some(support::MODULE));
    assert!(rejection.message.contains(support::MODULE), "{rejection}");
}

/// Messages of a rejection and of what else was found, in order.
fn all(rejection: &Rejection) -> Vec<String> {
    let first = format!("{}: {}", rejection.code, rejection.message);
    let further = rejection.further.iter().map(|one| {
        assert!(one.further.is_empty());
        one.to_string()
    });
    std::iter::once(first).chain(further).collect()
}

/// Adds a second kernel, of the same module.
fn with_second(draft: &mut Draft) -> &mut serde_json::Value {
    let mut second = draft.kernel().clone();
    second["id"] = "second".into();
    let kernels = draft.manifest["kernels"].as_array_mut().unwrap();
    kernels.push(second);
    kernels.last_mut().unwrap()
}

#[test]
fn all_that_is_wrong_with_a_manifest_is_said_at_once() {
    let folder = support::scratch();
    let mut draft = Draft::new()
        .set("/version", "one".into())
        .set("/author/email", "nobody".into())
        .set("/kernels/0/entry_point", "".into())
        .set("/kernels/0/resource_limits/max_memory_pages", 0.into())
        .set("/kernels/0/unheard", 1.into());
    let second = with_second(&mut draft);
    second["hash"] = "sha256:0".into();
    second["outputs"] = serde_json::json!([]);
    draft.write(folder.path());
    let rejection = rejection(verify(folder.path(), &trust(), &policy()));
    let said = all(&rejection);
    for (index, due) in [
        "kernels[0].entry_point must be",
        "kernels[0].resource_limits.max_memory_pages must be",
        "kernels[0].unheard is not a field",
        "kernels[1].hash must be sha256:",
        "kernels[1].outputs is empty",
        "version is not a semantic version",
        "author.email is not a mail address",
    ]
    .iter()
    .enumerate()
    {
        assert!(
            said.iter().any(|one| one.contains(due)),
            "{index}: {due}: {said:#?}"
        );
    }
    assert_eq!(rejection.kernel.as_deref(), Some("tiny"));
}

#[test]
fn all_modules_that_are_refused_are_named_at_once() {
    let folder = support::scratch();
    let mut draft = Draft::new().module(support::altered("kernel_info", "info"));
    with_second(&mut draft);
    draft.write(folder.path());
    let rejection = rejection(verify(folder.path(), &trust(), &policy()));
    let about: Vec<_> = std::iter::once(&rejection)
        .chain(&rejection.further)
        .map(|one| (one.code, one.kernel.as_deref()))
        .collect();
    assert_eq!(
        about,
        [
            (Code::ExportMissing, Some("tiny")),
            (Code::ExportMissing, Some("second"))
        ]
    );
}
