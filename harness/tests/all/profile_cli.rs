//! `assay qualify --profile embedded` as a user meets it.

#![cfg(feature = "wasmi")]

use crate::support::{assay, core_pack, json};

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
