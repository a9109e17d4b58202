//! `assay qualify --profile embedded` as a user meets it.

#![cfg(feature = "wasmi")]

use crate::support::{adapter, assay, core_pack, json};

#[test]
fn the_embedded_profile_says_what_fits_and_judges_base_modules_within_its_limits() {
    let out = tempfile::tempdir().unwrap();
    let pack = core_pack();
    let mut arguments = vec!["qualify", pack.to_str().unwrap(), "--profile", "embedded"];
    arguments.extend([
        "--runtime",
        "wasmi",
        "--kernel",
        "rmsnorm_f*",
        "--cases",
        "4",
    ]);
    arguments.extend([
        "--interruptions",
        "1",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    let (exit, document) = json(&arguments);
    assert_eq!(exit, 0, "{document}");
    assert_eq!(document["profile"], "embedded");
    let fits = document["fits"].as_array().unwrap();
    assert_eq!(fits.len(), 2, "{document}");
    for fit in fits {
        let memory = |shape: &str| fit[shape]["memory_bytes"].as_u64().unwrap();
        assert!(
            memory("largest") <= 128 * 1024 && memory("beyond") > 128 * 1024,
            "{fit}"
        );
    }
    let results = document["conform"]["results"].as_array().unwrap();
    assert!(results.iter().all(|entry| entry["variant"] == "base"));
    let notes = document["conform"]["notes"].to_string();
    assert!(notes.contains("do not and were not run"), "{notes}");
}

#[test]
fn a_failure_on_the_device_is_repeated_by_the_command_beside_it() {
    let out = tempfile::tempdir().unwrap();
    let folder = |name: &str| out.path().join(name).display().to_string();
    let (cache, first, second) = (folder("code cache"), folder("first"), folder("second"));
    let (pack, adapter) = (core_pack(), adapter("wrong-bit"));
    let mut arguments = vec!["qualify", pack.to_str().unwrap(), "--profile", "embedded"];
    arguments.extend(["--adapter", &adapter, "--runtime", "liar.wrong-bit"]);
    arguments.extend(["--kernel", "swiglu_f32", "--cases", "64"]);
    arguments.extend(["--interruptions", "0", "--code-cache", &cache]);
    arguments.extend(["--out", &first]);
    let (exit, document) = json(&arguments);
    assert_eq!(exit, 1);
    let results = document["conform"]["results"].as_array().unwrap();
    let repeats: Vec<_> = results
        .iter()
        .filter_map(|entry| entry["repeat"].as_str())
        .collect();
    assert!(!repeats.is_empty(), "{results:#?}");
    for repeat in &repeats {
        assert!(repeat.contains("--profile embedded"), "{repeat}");
        assert!(repeat.contains("--code-cache"), "{repeat}");
    }

    // The largest shape that fits is a case of the device alone.
    let sized = document["fits"][0]["largest"]["dimensions"]
        .as_str()
        .unwrap();
    let words = shlex::split(repeats[0]).unwrap();
    let at = words.iter().position(|word| word == "--case").unwrap();
    let mut line: Vec<&str> = words[1..at].iter().map(String::as_str).collect();
    let case = format!("sized:{sized}");
    line.extend(["--case", &case, "--out", &second]);
    let (exit, document) = json(&line);
    assert!(exit == 0 || exit == 1, "{document}");
    let cases: u64 = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["case"].is_null() && entry["layer"] == "L3")
        .map(|entry| entry["cases"].as_u64().unwrap())
        .sum();
    assert_eq!(cases, 1, "that case and no other: {document:#}");
}

#[test]
fn there_is_no_threaded_profile() {
    let output = assay()
        .args([
            "qualify",
            core_pack().to_str().unwrap(),
            "--profile",
            "threaded",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("server") && words.contains("embedded"),
        "{words}"
    );
}
