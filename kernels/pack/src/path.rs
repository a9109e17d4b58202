//! Which paths a manifest may name.

use crate::error::{Code, Rejection, quoted};

/// Bytes of a path.
pub(crate) const LONGEST_PATH: usize = 255;

/// Refuses a path that is not relative, `/`-separated and made of plain parts.
///
/// # Errors
/// [`Code::PathEscape`] for absolute paths and `..` parts, [`Code::PathInvalid`] for every other deviation.
pub fn check_path(path: &str) -> Result<(), Rejection> {
    let refuse = |code: Code, reason: &str| {
        let shown = quoted(path);
        Err(Rejection::new(
            code,
            format!("the path {shown} {reason}; paths are relative, /-separated, of ASCII letters, digits, `.`, `_`, `-`"),
        )
        .file(shown.trim_matches('"')))
    };
    if path.starts_with('/') {
        return refuse(Code::PathEscape, "is absolute");
    }
    if path.split(['/', '\\']).any(|part| part == "..") {
        return refuse(Code::PathEscape, "has a `..` part");
    }
    if path.is_empty() || path.len() > LONGEST_PATH {
        return refuse(Code::PathInvalid, "is empty or longer than 255 bytes");
    }
    for part in path.split('/') {
        if part.is_empty() || part == "." {
            return refuse(Code::PathInvalid, "has an empty or `.` part");
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !part.bytes().all(plain) {
            return refuse(Code::PathInvalid, "has a character that is not allowed");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_relative_paths_pass() {
        for path in [
            "a",
            "kernels/rope_f32.wasm",
            "a/b-c/d.e_f",
            "...",
            "a..b",
            "-",
        ] {
            assert!(check_path(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn every_trick_has_its_code() {
        use Code::{PathEscape, PathInvalid};
        for (path, code) in [
            ("/etc/passwd", PathEscape),
            ("//a", PathEscape),
            ("..", PathEscape),
            ("a/../b", PathEscape),
            ("a/..", PathEscape),
            ("..\\a", PathEscape),
            ("", PathInvalid),
            (".", PathInvalid),
            ("./a", PathInvalid),
            ("a//b", PathInvalid),
            ("a/", PathInvalid),
            ("a\\b", PathInvalid),
            ("C:/a", PathInvalid),
            ("C:a", PathInvalid),
            ("a\0b", PathInvalid),
            ("a b", PathInvalid),
            ("a\nb", PathInvalid),
            ("ä", PathInvalid),
            ("\u{430}.wasm", PathInvalid),
            ("a%2e", PathInvalid),
            ("~", PathInvalid),
        ] {
            assert_eq!(check_path(path).unwrap_err().code, code, "{path:?}");
        }
        assert!(check_path(&"a".repeat(256)).is_err());
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below_its_root(path in "[a./\\\\:_ -]{0,12}|\\PC{0,6}") {
            if check_path(&path).is_ok() {
                let mut depth = 0;
                for component in std::path::Path::new(&path).components() {
                    prop_assert!(matches!(component, std::path::Component::Normal(_)));
                    depth += 1;
                }
                prop_assert_eq!(depth, path.split('/').count());
            }
        }
    }
}
