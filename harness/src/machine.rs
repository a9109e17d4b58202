//! What this process runs on, and with what it was built: without it a number means nothing, and a verdict on an emulated machine
//! leaves times out.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{env, fs};

/// Machine, build and command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The processor's own name.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Frequency governor, or that the system shows none.
    pub governor: String,
    /// Operating system and its version.
    pub os: String,
    /// Architecture that this build is for.
    pub architecture: String,
    /// Set where that is not the machine's own, with how it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emulated: Option<String>,
    /// The compiler of this build.
    pub rustc: String,
    /// Profile and flags of this build.
    pub build: String,
    /// Version of the harness.
    pub harness: String,
    /// Commit that this build was made from, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether the working tree was clean when this was built, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean_tree: Option<bool>,
    /// The command line.
    pub command: Vec<String>,
    /// When it began (UTC).
    pub began: String,
    /// Load of the machine when it began, over one minute, where the system says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
}

impl Fingerprint {
    /// Of this process, now.
    pub fn take() -> Self {
        let text = |path: &str| fs::read_to_string(path).ok();
        let cpuinfo = text("/proc/cpuinfo").unwrap_or_default();
        let known = |text: Option<String>| {
            text.map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "unknown".to_owned())
        };
        let cpu = field(&cpuinfo, "model name")
            .or_else(|| field(&cpuinfo, "Model"))
            .or_else(|| field(&cpuinfo, "CPU part"));
        let os_release = text("/etc/os-release").and_then(|release| {
            let name = release
                .lines()
                .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
            Some(name.trim_matches('"').to_owned())
        });
        let kernel = text("/proc/sys/kernel/osrelease");
        let format =
            time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        Self {
            cpu: known(cpu),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            governor: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").map_or_else(
                || "none shown by the system".to_owned(),
                |governor| governor.trim().to_owned(),
            ),
            os: format!(
                "{}, {}, {}",
                env::consts::OS,
                known(os_release),
                known(kernel)
            ),
            architecture: env::consts::ARCH.to_owned(),
            emulated: emulated(),
            rustc: env!("ASSAY_RUSTC").to_owned(),
            build: env!("ASSAY_BUILD").to_owned(),
            harness: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("ASSAY_COMMIT").map(str::to_owned),
            clean_tree: option_env!("ASSAY_CLEAN").map(|clean| clean == "true"),
            command: env::args().collect(),
            began: known(time::OffsetDateTime::now_utc().format(format).ok()),
            load: text("/proc/loadavg")
                .and_then(|load| load.split_whitespace().next().map(str::to_owned)),
        }
    }
}

/// The processor as compilers see it: its name, which machines of different make share, its family, model and stepping, and a digest of what it
/// says that it can do.
pub fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let said = |name: &str| field(&cpuinfo, name).unwrap_or_default();
    let abilities = format!("{} {}", said("flags"), said("Features"));
    format!(
        "{}, family {}, model {}, stepping {}, abilities {}",
        said("model name"),
        said("cpu family"),
        said("model"),
        said("stepping"),
        hex::encode(&Sha256::digest(abilities)[..8])
    )
}

fn field(cpuinfo: &str, name: &str) -> Option<String> {
    cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// Whether another machine is emulated for this process, and how it shows. `ASSAY_EMULATED` in the environment says so where
/// nothing else does; it cannot deny what shows.
pub fn emulated() -> Option<String> {
    if cfg!(target_family = "wasm") {
        return Some(
            "WebAssembly, in which this build runs, is a machine that another runtime makes"
                .to_owned(),
        );
    }
    let said = env::var("ASSAY_EMULATED").is_ok_and(|said| !said.is_empty() && said != "0");
    // An emulator answers for /proc/self; this path it does not know, and it shows the emulator's own files.
    let maps = fs::read_to_string("/proc/thread-self/maps").unwrap_or_default();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if said {
        return Some("ASSAY_EMULATED is set".to_owned());
    }
    shows(&maps, &cpuinfo, env::consts::ARCH)
}

fn shows(maps: &str, cpuinfo: &str, architecture: &str) -> Option<String> {
    let emulator = maps.lines().find_map(|line| {
        let path = line.split_whitespace().nth(5)?;
        let name = path.rsplit('/').next()?;
        name.starts_with("qemu-").then(|| name.to_owned())
    });
    if let Some(emulator) = emulator {
        return Some(format!("{emulator} runs this process"));
    }
    // A line that only processors of this kind have in /proc/cpuinfo.
    let of_x86 = field(cpuinfo, "vendor_id").is_some() && field(cpuinfo, "flags").is_some();
    let of_arm = field(cpuinfo, "CPU implementer").is_some();
    let (here, what) = match architecture {
        "x86_64" | "x86" => (!of_arm, "an ARM processor"),
        _ => (!of_x86, "an x86 processor"),
    };
    (!here).then(|| format!("built for {architecture}, on {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_shows() {
        let x86 =
            "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: A CPU\nflags\t\t: fpu sse2\n";
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!(shows("", x86, "x86_64"), None);
        assert_eq!(shows("", arm, "aarch64"), None);
        assert_eq!(shows("", "", "riscv64"), None);
        assert!(shows("", x86, "aarch64").is_some());
        assert!(shows("", x86, "arm").is_some());
        assert!(shows("", arm, "x86_64").is_some());
        let maps = "00400000-00500000 r-xp 00000000 08:01 42 /usr/bin/qemu-aarch64-static\n";
        assert!(shows(maps, arm, "aarch64").is_some());
        let innocent = "00400000-00500000 r-xp 00000000 08:01 42 /srv/qemu-tests/assay\n";
        assert_eq!(shows(innocent, x86, "x86_64"), None);
        assert_eq!(field(x86, "model name").as_deref(), Some("A CPU"));
    }
}
