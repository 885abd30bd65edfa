//! What in `container.run-args` opens the host to jobs. They are the operator's own words, so nothing is refused: it is told.

/// A sentence for each.
pub(super) fn dangers(run_args: &[String]) -> Vec<String> {
    flags(run_args).filter_map(|it| danger(&it)).collect()
}

/// Whether the operator has chosen a network, or a pod, which has one.
pub(super) fn names_network(run_args: &[String]) -> bool {
    flags(run_args).any(|it| matches!(it.name, "--network" | "--net" | "--pod" | "--pod-id-file"))
}

/// An option, as far as it looks like one: `--name`, `--name=value`, `--name value`, `-v value`, `-vvalue`.
struct Flag<'a> {
    name: &'a str,
    value: &'a str,
}

fn flags(words: &[String]) -> impl Iterator<Item = Flag<'_>> {
    words.iter().enumerate().filter(|(_, word)| word.starts_with('-')).map(|(at, word)| {
        let next = words.get(at + 1).map_or("", String::as_str);
        match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => Flag { name, value },
            None if word.starts_with("--") || word.len() == 2 => Flag { name: word, value: next },
            _ => {
                let (name, value) = word.split_at_checked(2).unwrap_or((word, ""));
                Flag { name, value: value.trim_start_matches('=') }
            }
        }
    })
}

fn danger(flag: &Flag<'_>) -> Option<String> {
    let Flag { name, value } = flag;
    let what = match (*name, *value) {
        ("--privileged", it) if it != "false" => "gives jobs all rights of the engine's user on this machine",
        ("--network" | "--net", "host") => "lets jobs reach what listens on this machine alone",
        ("--pid" | "--ipc" | "--userns" | "--cgroupns" | "--uts", "host") => {
            "is no wall between jobs and this machine"
        }
        ("--cap-add", it) if is_mighty(it) => "lets jobs do what only this machine's root should",
        ("--security-opt", it) if it.contains("unconfined") || it.contains("disable") => {
            "takes a wall between jobs and this machine away"
        }
        ("--volume" | "-v", it) => mounted(it.split(':').next().unwrap_or_default())?,
        ("--mount", it) => mounted(it.split(',').find_map(source)?)?,
        _ => return None,
    };
    Some(if value.is_empty() || *name == "--privileged" {
        format!("{name} {what}")
    } else {
        format!("{name}={value} {what}")
    })
}

fn source(part: &str) -> Option<&str> {
    part.strip_prefix("source=").or_else(|| part.strip_prefix("src="))
}

fn mounted(source: &str) -> Option<&'static str> {
    if source.ends_with("docker.sock") || source.ends_with("podman.sock") {
        return Some("gives jobs the engine itself, and with it this machine");
    }
    let trimmed = source.trim_end_matches('/');
    let is_root = source.starts_with('/') && trimmed.is_empty();
    let is_system =
        ["/etc", "/proc", "/sys", "/dev", "/run", "/var", "/var/run", "/usr", "/boot", "/root", "/home"]
            .contains(&trimmed);
    (is_root || is_system).then_some("shows jobs a part of this machine that is not theirs")
}

fn is_mighty(capabilities: &str) -> bool {
    capabilities.split(',').any(|it| {
        let upper = it.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        matches!(
            name,
            "ALL" | "SYS_ADMIN" | "SYS_MODULE" | "SYS_RAWIO" | "SYS_BOOT" | "DAC_READ_SEARCH" | "BPF"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn what_opens_the_host_is_told() {
        for bad in [
            "--privileged",
            "--privileged=true",
            "--network=host",
            "--net host",
            "--pid=host",
            "--ipc host",
            "--userns=host",
            "--volume=/:/host",
            "-v /:/host:ro",
            "-v/:/host",
            "-v=/etc/:/x",
            "--volume=/run/podman/podman.sock:/podman.sock",
            "-v /var/run/docker.sock:/var/run/docker.sock",
            "--mount=type=bind,source=/,target=/x",
            "--mount type=bind,src=/etc,dst=/x",
            "--cap-add=ALL",
            "--cap-add CAP_SYS_ADMIN,CHOWN",
            "--security-opt=seccomp=unconfined",
            "--security-opt label=disable",
        ] {
            assert_eq!(dangers(&words(bad)).len(), 1, "{bad}");
        }
        assert_eq!(dangers(&words("--network=host --privileged")).len(), 2);
    }

    #[test]
    fn what_does_not_is_not() {
        for good in [
            "--pull=never --label=a=b",
            "--privileged=false",
            "--network=none",
            "--volume=/srv/cache:/cache",
            "-v cache:/cache:rw",
            "--device=/dev/kvm",
            "--cap-add=CHOWN,SETUID",
            "--security-opt=no-new-privileges",
            "--env=X=--privileged",
            "",
        ] {
            assert_eq!(dangers(&words(good)), [""; 0], "{good}");
        }
    }

    #[test]
    fn a_network_is_chosen_once() {
        for chosen in ["--network=host", "--net none", "--network slirp4netns:mtu=1400", "--pod=p"] {
            assert!(names_network(&words(chosen)), "{chosen}");
        }
        assert!(!names_network(&words("--network-alias=x --env=--network=host")));
    }
}
