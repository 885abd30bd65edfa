//! What a container may: as little as tests can do with, unless the configuration says more.

use std::fmt;
use std::str::FromStr;

use common::config::{Summary, Table, listed};

use super::dangers::names_network;

/// What a container may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The capabilities of its root user.
    pub capabilities: Vec<Capability>,
    /// How many processes and threads it has at most; 0: as many as it wants.
    pub pids: u64,
    /// How much memory it has at most.
    pub memory: Memory,
    /// Whom it can talk to.
    pub network: Network,
}

/// As many as podman allows by itself: builds of large projects and browsers are content with it.
const PIDS: u64 = 2048;

impl Default for Bounds {
    fn default() -> Self {
        Self { capabilities: Vec::new(), pids: PIDS, memory: Memory::default(), network: Network::default() }
    }
}

impl Bounds {
    pub(super) fn read(table: &Table<'_>, slots: usize) -> Self {
        let memory = table.number("memory-megabytes", 0, 1 << 24);
        Self {
            capabilities: capabilities(table),
            pids: table.number("pids", 0, 4_194_304).unwrap_or(PIDS),
            memory: memory.map_or_else(|| Memory::share(machine_megabytes(), slots), Memory::new),
            network: table.parse("network").unwrap_or_default(),
        }
    }

    pub(super) fn summarize(&self, summary: &mut Summary) {
        summary.line("capabilities", listed(&self.capabilities));
        summary.line("pids", self.pids);
        summary.line("memory-megabytes", self.memory);
        summary.line("network", self.network);
    }

    /// Options of `run`, to stand before the operator's own, which win.
    pub(in super::super) fn options(&self, run_args: &[String]) -> Vec<String> {
        let Self { capabilities, pids, memory, network } = self;
        let mut options: Vec<String> =
            ["--security-opt=no-new-privileges", "--cap-drop=all", "--pid=private", "--ipc=private"]
                .map(str::to_owned)
                .into();
        options.extend(capabilities.iter().map(|it| format!("--cap-add={it}")));
        // 0 is the engine's word for no limit, which it takes where it could not set one.
        options.push(format!("--pids-limit={pids}"));
        if let Memory(Some(megabytes)) = memory {
            options.extend([format!("--memory={megabytes}m"), format!("--memory-swap={megabytes}m")]);
        }
        // The engine takes only one.
        if !names_network(run_args) {
            options.push(format!("--network={network}"));
        }
        options
    }
}

/// How much memory a container has at most, swap included, in mebibytes; none: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory(Option<u64>);

impl Memory {
    /// 0 is no limit.
    #[must_use]
    pub const fn new(megabytes: u64) -> Self {
        Self(if megabytes == 0 { None } else { Some(megabytes) })
    }

    /// An equal share of seven eighths of the machine's: the rest is the worker's and the system's, whatever jobs do.
    #[must_use]
    pub fn share(machine: u64, slots: usize) -> Self {
        let slots = u64::try_from(slots).unwrap_or(u64::MAX).max(1);
        Self::new((machine / 8 * 7 / slots).max(64))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.unwrap_or(0).fmt(f)
    }
}

fn machine_megabytes() -> u64 {
    let system = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "the kernel's word has another width on other machines")]
    let total = u64::from(system.totalram).saturating_mul(system.mem_unit.into());
    total >> 20
}

/// Whom a container can talk to. The host's network is not among these: an operator who wants it says so in `run-args`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Everybody, from a network of its own.
    #[default]
    Private,
    /// Nobody. Then its repository cannot be cloned over the network either.
    None,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private",
            Self::None => "none",
        })
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "private" => Ok(Self::Private),
            "none" => Ok(Self::None),
            _ => Err(format!(
                "expected \"private\" or \"none\", found {text:?}; others go into container.run-args"
            )),
        }
    }
}

/// A capability of Linux, without `CAP_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability(&'static str);

/// capabilities(7).
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

impl FromStr for Capability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let known = CAPABILITIES.iter().find(|it| **it == name);
        known
            .map(|it| Self(it))
            .ok_or_else(|| format!("expected names of capabilities(7), such as \"CHOWN\", found {text:?}"))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

fn capabilities(table: &Table<'_>) -> Vec<Capability> {
    let words = table.words("capabilities").unwrap_or_default();
    let parse = |it: &String| it.parse().map_err(|it: String| table.problem("capabilities", it)).ok();
    words.iter().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use common::config::{Environment, Source};

    use super::*;

    fn read(text: &str) -> Result<Bounds, String> {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), format!("[container]\n{text}\n")).unwrap();
        let source = Source::load(Some(file.path())).unwrap();
        let reader = common::config::Reader::new(source, Environment::default());
        let bounds = Bounds::read(&reader.table("container"), 4);
        reader.finish(bounds).map_err(|it| it.to_string())
    }

    #[test]
    fn a_container_may_little_by_default() {
        let bounds = read("").unwrap();
        let Memory(Some(megabytes)) = bounds.memory else { panic!("no limit") };
        assert!(megabytes * 4 < machine_megabytes(), "{megabytes}");
        let expected = [
            "--security-opt=no-new-privileges",
            "--cap-drop=all",
            "--pid=private",
            "--ipc=private",
            "--pids-limit=2048",
            &format!("--memory={megabytes}m"),
            &format!("--memory-swap={megabytes}m"),
            "--network=private",
        ];
        assert_eq!(bounds.options(&[]), expected);
    }

    #[test]
    fn the_configuration_gives_more_or_less() {
        let text =
            "capabilities = [\"CAP_CHOWN\", \"setuid\"]\npids = 0\nmemory-megabytes = 0\nnetwork = \"none\"";
        let options = read(text).unwrap().options(&[]);
        assert_eq!(options[4..], ["--cap-add=CHOWN", "--cap-add=SETUID", "--pids-limit=0", "--network=none"]);
        let own = read("memory-megabytes = 100").unwrap().options(&["--net".to_owned(), "host".to_owned()]);
        assert_eq!(own[4..], ["--pids-limit=2048", "--memory=100m", "--memory-swap=100m"]);
    }

    #[test]
    fn what_is_no_bound_is_a_problem() {
        for (bad, expected) in [
            ("capabilities = [\"ALL\"]", "capabilities(7)"),
            ("capabilities = [\"--privileged\"]", "capabilities(7)"),
            ("network = \"host\"", "container.run-args"),
            ("pids = -1", "a whole number"),
        ] {
            let problems = read(bad).unwrap_err();
            assert!(problems.contains(expected), "{problems}");
        }
    }

    #[test]
    fn memory_is_shared_by_the_slots() {
        assert_eq!(Memory::share(16_000, 4), Memory(Some(3500)));
        assert_eq!(Memory::share(16_000, 0), Memory(Some(14_000)));
        assert_eq!(Memory::share(100, 256), Memory(Some(64)));
    }
}
