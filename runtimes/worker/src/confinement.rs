//! What a worker gives up before it loads native code that nobody compared with its module: files, the network, other processes. What it has
//! open stays open: the pipes of the conversation.
//!
//! Two parts of Linux do it, each by itself where the other is missing. Landlock takes files: nothing can be opened but what the system says of
//! this very process, and TCP, signals to others and debugging of others are refused. seccomp takes system calls: an engine that runs a loaded
//! module needs about fifty, and all others are refused, as are the uses of those fifty that write files or start processes.

use serde::{Deserialize, Serialize};

/// What came of it. Nothing in either list is for programs to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// What holds from now on.
    pub holds: Vec<String>,
    /// What does not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
}

impl Confinement {
    /// A worker that gave up nothing.
    pub fn none(reason: impl Into<String>) -> Self {
        Self {
            holds: Vec::new(),
            lacks: vec![reason.into()],
        }
    }

    /// The words of a verdict.
    pub fn words(&self) -> String {
        let lacks = self.lacks.join("; ");
        match (self.holds.is_empty(), self.lacks.is_empty()) {
            (true, true) => "not confined: the worker says nothing of what holds".to_owned(),
            (true, false) => format!("not confined: {lacks}"),
            (false, true) => format!("confined: {}", self.holds.join("; ")),
            (false, false) => format!("confined: {}; not confined: {lacks}", self.holds.join("; ")),
        }
    }
}

/// Takes from this process what running loaded code does not need. It is not undone: only the end of the process ends it.
///
/// A build for fuzzing does not do it: there the process that is asked is the fuzzer.
#[cfg(any(not(target_os = "linux"), fuzzing))]
pub(super) fn confine() -> Confinement {
    Confinement::none(format!(
        "this build for {} has nothing that confines a worker",
        std::env::consts::OS
    ))
}

/// Takes from this process what running loaded code does not need. It is not undone: only the end of the process ends it.
#[cfg(all(target_os = "linux", not(fuzzing)))]
pub(super) fn confine() -> Confinement {
    let mut confinement = Confinement::default();
    let mut note = |found: Result<String, String>| match found {
        Ok(holds) => confinement.holds.push(holds),
        Err(lacks) => confinement.lacks.push(lacks),
    };
    // Landlock first: seccomp refuses its system calls too.
    note(files::confine());
    note(calls::confine());
    confinement
}

#[cfg(all(target_os = "linux", not(fuzzing)))]
mod files {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath,
        PathFd, RestrictSelfAttr, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    };

    /// What the worker says of its own memory, and glibc of where its stack ends.
    const READABLE: &str = "/proc/self";

    pub(super) fn confine() -> Result<String, String> {
        let lacks = |error: &dyn std::fmt::Display| format!("files (Landlock): {error}");
        let threads = std::fs::read_dir("/proc/self/task").map_or(usize::MAX, Iterator::count);
        let abi = ABI::V6;
        let restrict = || -> Result<_, landlock::RulesetError> {
            // An older kernel refuses fewer kinds of access; one without any is what the status below shows.
            let mut rules = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(abi))?
                .handle_access(AccessNet::from_all(abi))?
                .scope(Scope::from_all(abi))?
                .create()?;
            if let Ok(folder) = PathFd::new(READABLE) {
                rules = rules.add_rule(PathBeneath::new(folder, AccessFs::from_read(abi)))?;
            }
            rules.all_threads(true)?.restrict_self()
        };
        let status = restrict().map_err(|error| lacks(&error))?;
        if status.ruleset == RulesetStatus::NotEnforced {
            return Err(lacks(&"this kernel does not have it, or it is turned off"));
        }
        // Before Linux 7.0 only the thread that asks is confined, and those that it starts.
        if threads != 1 && !status.all_threads {
            return Err(lacks(
                &"threads of the worker that ran before remain as they were",
            ));
        }
        let version = match status.landlock {
            LandlockStatus::Available { effective_abi, .. } => {
                format!(" {}", effective_abi as u32)
            }
            _ => String::new(),
        };
        Ok(format!(
            "no file can be opened, no TCP port used (Landlock{version})"
        ))
    }
}

#[cfg(all(
    target_os = "linux",
    not(fuzzing),
    not(any(target_arch = "x86_64", target_arch = "aarch64"))
))]
mod calls {
    pub(super) fn confine() -> Result<String, String> {
        Err(format!(
            "system calls (seccomp): no list of them is known here for {}",
            std::env::consts::ARCH
        ))
    }
}

#[cfg(all(
    target_os = "linux",
    not(fuzzing),
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod calls {
    use libc::c_long;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, TargetArch, apply_filter_all_threads,
    };
    use std::collections::BTreeMap;

    /// What running code needs whatever its arguments: memory that stands for no file of a name, the pipes that are open, clocks,
    /// locks, signals of its own, and questions about itself. `clone3` is here because the other filter answers it.
    const FREE: &[c_long] = &[
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_membarrier,
        libc::SYS_memfd_create,
        libc::SYS_ftruncate,
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_getdents64,
        libc::SYS_readlinkat,
        libc::SYS_ppoll,
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_getrandom,
        libc::SYS_getrusage,
        libc::SYS_sysinfo,
        libc::SYS_uname,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_clone3,
    ];

    /// Uses of `openat` that write or make a file, or could.
    const WRITING: u64 = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE) as u64
        & !(libc::O_DIRECTORY as u64);

    pub(super) fn confine() -> Result<String, String> {
        let lacks = |error: seccompiler::Error| format!("system calls (seccomp): {error}");
        let error = |number: i32| SeccompAction::Errno(number.unsigned_abs());
        // The flags of `clone3` lie in memory, where no filter sees them. Whoever is told that there is none uses `clone`.
        let without_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        let filters = [
            filter(without_clone3, SeccompAction::Allow, error(libc::ENOSYS)),
            filter(allowed(), error(libc::EPERM), SeccompAction::Allow),
        ];
        for filter in filters {
            apply_filter_all_threads(&filter.map_err(|error| lacks(error.into()))?)
                .map_err(lacks)?;
        }
        Ok("no file written, no program, process or socket, only system calls of running code (seccomp)".to_owned())
    }

    fn filter(
        rules: BTreeMap<c_long, Vec<SeccompRule>>,
        others: SeccompAction,
        listed: SeccompAction,
    ) -> Result<BpfProgram, seccompiler::BackendError> {
        let arch = if cfg!(target_arch = "x86_64") {
            TargetArch::x86_64
        } else {
            TargetArch::aarch64
        };
        SeccompFilter::new(rules, others, listed, arch)?.try_into()
    }

    fn allowed() -> BTreeMap<c_long, Vec<SeccompRule>> {
        let mut rules: BTreeMap<c_long, Vec<SeccompRule>> =
            FREE.iter().map(|call| (*call, Vec::new())).collect();
        let threads = libc::CLONE_THREAD as u64;
        let own = u64::from(std::process::id());
        let equals = |argument, value: i32| {
            vec![(argument, SeccompCmpOp::Eq, u64::from(value.unsigned_abs()))]
        };
        let conditional = [
            // Reading is what Landlock decides about.
            (
                libc::SYS_openat,
                vec![(2, SeccompCmpOp::MaskedEq(WRITING), 0)],
            ),
            (
                libc::SYS_clone,
                vec![(0, SeccompCmpOp::MaskedEq(threads), threads)],
            ),
            (libc::SYS_tgkill, vec![(0, SeccompCmpOp::Eq, own)]),
            (libc::SYS_prctl, equals(0, libc::PR_SET_NAME)),
            // Asked, not set, and of itself.
            (
                libc::SYS_prlimit64,
                vec![(0, SeccompCmpOp::Eq, 0), (2, SeccompCmpOp::Eq, 0)],
            ),
            // Not the owner of a file, who gets signals of it.
            (libc::SYS_fcntl, equals(1, libc::F_GETFD)),
            (libc::SYS_fcntl, equals(1, libc::F_GETFL)),
            (libc::SYS_fcntl, equals(1, libc::F_DUPFD_CLOEXEC)),
            (libc::SYS_fcntl, equals(1, libc::F_ADD_SEALS)),
            (libc::SYS_fcntl, equals(1, libc::F_GET_SEALS)),
        ];
        for (call, conditions) in conditional {
            let conditions: Result<Vec<_>, _> = conditions
                .into_iter()
                .map(|(argument, how, value)| {
                    // A pointer has all 64 bits; the other arguments are ints.
                    let length = if (call, argument) == (libc::SYS_prlimit64, 2) {
                        SeccompCmpArgLen::Qword
                    } else {
                        SeccompCmpArgLen::Dword
                    };
                    SeccompCondition::new(argument, length, how, value)
                })
                .collect();
            // A rule that cannot be made is not made: the call is refused then.
            if let Ok(rule) = conditions.and_then(SeccompRule::new) {
                rules.entry(call).or_default().push(rule);
            }
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_what_holds_and_what_does_not() {
        let of = |holds: &[&str], lacks: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            Confinement {
                holds: owned(holds),
                lacks: owned(lacks),
            }
            .words()
        };
        assert_eq!(of(&["files"], &[]), "confined: files");
        assert_eq!(of(&["a", "b"], &["c"]), "confined: a; b; not confined: c");
        assert_eq!(of(&[], &["c", "d"]), "not confined: c; d");
        assert!(of(&[], &[]).starts_with("not confined: "));
    }
}
