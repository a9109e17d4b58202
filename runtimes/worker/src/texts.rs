//! Texts of a worker. An adapter of somebody else writes them: they are made short enough for records, and harmless for who reads them.

use super::protocol::Answer;
use runtime_api::{Error, Trap};
use runtime_call::Outcome;

/// Bytes of a text, at most.
const MOST: usize = 2048;

/// The answer with tidy texts.
pub(super) fn tidied(mut answer: Answer) -> Answer {
    match &mut answer {
        Answer::Error(error) => tidy_error(error),
        Answer::Ran(observation) => {
            for outcome in &mut observation.calls {
                if let Outcome::Failed(error) = outcome {
                    tidy_error(error);
                }
            }
        }
        Answer::Hello { info, .. } => {
            let build = info.build.values_mut();
            let own = [&mut info.id, &mut info.engine, &mut info.version];
            own.into_iter().chain(build).for_each(tidy);
            tidy(&mut info.capabilities.interruption);
        }
        _ => {}
    }
    answer
}

fn tidy_error(error: &mut Error) {
    match error {
        Error::Trap {
            trap: Trap::ContractViolation { what: text } | Trap::EngineOther { text, .. },
            ..
        }
        | Error::Rejected { message: text, .. }
        | Error::Unsupported { reason: text }
        | Error::Export { message: text, .. }
        | Error::Adapter { message: text } => tidy(text),
        _ => {}
    }
}

/// Cut, and with control characters as Rust writes them; new lines stay.
fn tidy(text: &mut String) {
    let is_plain = |character: char| character == '\n' || !character.is_control();
    if text.len() <= MOST && text.chars().all(is_plain) {
        return;
    }
    let mut tidied = String::new();
    for character in text.chars() {
        if tidied.len() >= MOST {
            tidied += " [...]";
            break;
        }
        if is_plain(character) {
            tidied.push(character);
        } else {
            tidied.extend(character.escape_default());
        }
    }
    *text = tidied;
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_api::Stage;

    #[test]
    fn a_text_is_cut_and_has_nothing_that_a_terminal_acts_on() {
        let of = |text: &str| {
            let trap = Trap::EngineOther {
                engine: "one".to_owned(),
                text: text.to_owned(),
            };
            match tidied(Answer::Error(Error::trap(Stage::Call, trap))) {
                Answer::Error(error) => error.to_string(),
                other => panic!("{other:?}"),
            }
        };
        assert!(of("plain\nwords").ends_with(": plain\nwords"));
        assert!(of("\u{1b}[2J\0\r").ends_with(r": \u{1b}[2J\u{0}\r"));
        let long = of(&"x".repeat(16 << 20));
        assert!(long.len() < 2 * MOST && long.ends_with("xx [...]"));
    }
}
