//! What the operating system does for containment. On Linux a worker leads a process group of its own, which is killed as a
//! whole, dies with the harness, and has limits that it cannot raise. Elsewhere only the worker itself is killed.

use std::{
    path::Path,
    process::{Child, Command},
    time::Duration,
};

/// Bytes of a file that a worker may write: the ahead-of-time compiler's output is a few MiB.
#[cfg(target_os = "linux")]
const FILE_BYTES: u64 = 1 << 30;
/// The most that the memory of a module can take, which need not be resident.
#[cfg(target_os = "linux")]
const LINEAR_MEMORY_BYTES: u64 = 4 << 30;

/// Gives a process that is to be started its limits, all of which its children inherit.
///
/// A limit of address space is not among them: engines reserve 4 to 8 GiB for each memory. Data (what is private and can be
/// written) is limited to where no engine comes while it is watched, so that one which is not watched ends too.
#[cfg(target_os = "linux")]
#[allow(
    unsafe_code,
    reason = "only before exec can the limits hold from the first instruction on"
)]
pub(super) fn contain(command: &mut Command, memory: u64) {
    use rustix::process::{
        Resource, Rlimit, Signal, getpid, getppid, getrlimit, set_parent_process_death_signal,
        setrlimit,
    };
    use std::os::unix::process::CommandExt;

    // The terminal's Ctrl-C does not reach this group; the worker ends because the harness does.
    command.process_group(0);
    let harness = getpid();
    let limits = [
        (Resource::Core, 0),
        (Resource::Fsize, FILE_BYTES),
        (
            Resource::Data,
            memory.saturating_mul(2).saturating_add(LINEAR_MEMORY_BYTES),
        ),
    ];
    let before_exec = move || {
        // Remains across exec. It comes when the thread that started the worker ends, which must therefore outlive it.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(harness) {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        for (resource, limit) in limits {
            // Where the user's own limit is lower, that one stays.
            let own = getrlimit(resource);
            let lower = |own: Option<u64>| Some(own.map_or(limit, |own| own.min(limit)));
            setrlimit(
                resource,
                Rlimit {
                    current: lower(own.current),
                    maximum: lower(own.maximum),
                },
            )?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made; nothing is allocated, and no lock is taken.
    unsafe {
        command.pre_exec(before_exec);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn contain(_: &mut Command, _: u64) {}

/// Whether a child has ended. On Linux it is not waited for: its id, which is that of its group, remains its own.
#[cfg(target_os = "linux")]
pub(super) fn has_ended(child: &mut Child) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match pid(child.id()) {
        Some(pid) => matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_)) | Err(_)),
        None => true,
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

/// Kills a child, which was not waited for, with its whole group.
#[cfg(target_os = "linux")]
pub(super) fn kill_group(child: &Child) {
    if let Some(pid) = pid(child.id()) {
        // There is nobody to kill where all of them have ended.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn kill_group(_: &Child) {}

#[cfg(target_os = "linux")]
fn pid(id: u32) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(id).ok()?)
}

/// Bytes that are resident in a process and in its descendants, to some pages; `None` where `/proc` does not say.
pub(super) fn resident_with_children(id: u32) -> Option<u64> {
    let mut bytes = field(&format!("/proc/{id}/status"), "VmRSS:")?;
    let mut parents = vec![id];
    // A process that starts others faster than they are counted is limited by what each may use.
    let mut left = 64;
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            if left == 0 {
                return Some(bytes);
            }
            left -= 1;
            bytes += field(&format!("/proc/{child}/status"), "VmRSS:").unwrap_or(0);
            parents.push(child);
        }
    }
    Some(bytes)
}

/// Bytes of a process that stand for no file, exactly; `None` where `/proc` does not say.
pub(super) fn anonymous_bytes(id: u32) -> Option<u64> {
    field(&format!("/proc/{id}/smaps_rollup"), "Anonymous:")
}

/// Bytes of a process that are resident, exactly; `None` where `/proc` does not say.
pub(super) fn resident_bytes(id: u32) -> Option<u64> {
    field(&format!("/proc/{id}/smaps_rollup"), "Rss:")
}

/// Keeps the memory of this process, what it has open and what its environment holds from other processes of the same user: workers know its id. What
/// another program is that it starts does not inherit that.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
pub fn keep_to_oneself() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Other systems have other ways, which are not used.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn keep_to_oneself() -> std::io::Result<()> {
    Ok(())
}

/// Has a file that would grow beyond the user's limit be an error of whoever writes it, as where a disk is full, and not the end of this process.
/// Programs that it starts inherit that.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "a function of the C library")]
pub fn outlive_large_files() {
    // SAFETY: to ignore a signal runs no code when it comes.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
pub fn outlive_large_files() {}

/// Gives memory that was freed back to the system, so that what is resident is in use; whether that is known to have happened.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "a function of the C library")]
pub(super) fn give_freed_memory_back() -> bool {
    unsafe extern "C" {
        /// Answers whether there was any to give back.
        fn malloc_trim(padding: usize) -> std::ffi::c_int;
    }
    // SAFETY: it takes any number, may be called at any time, and touches only what nobody has allocated.
    unsafe { malloc_trim(0) };
    true
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_freed_memory_back() -> bool {
    false
}

/// How long the threads of a process, and the one that asks, have waited for a processor since they began; `None` where `/proc`
/// does not say.
pub(super) fn waited(id: u32) -> Option<Duration> {
    let mut waited = run_delay(Path::new("/proc/thread-self"))?;
    for thread in std::fs::read_dir(format!("/proc/{id}/task"))
        .ok()?
        .flatten()
    {
        // A thread may end meanwhile.
        waited += run_delay(&thread.path()).unwrap_or_default();
    }
    Some(waited)
}

/// The second number of a thread's `schedstat`.
fn run_delay(thread: &Path) -> Option<Duration> {
    let text = std::fs::read_to_string(thread.join("schedstat")).ok()?;
    let nanoseconds = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The value of a line `NAME   N kB`, in bytes.
fn field(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn children(id: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|ids| {
            ids.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}
