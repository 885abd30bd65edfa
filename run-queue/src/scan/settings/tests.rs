//! What the tests of the readers share, and the settings that have no file of their own.

use common::config::{Environment, Reader, Source};

use super::*;

/// Files and what is in them; the first is the configuration.
pub(in crate::scan) type Files<'t> = &'t [(&'t str, &'t str)];

/// What is read from files, or the problems as they are printed, without the folder.
pub(in crate::scan) fn read_in(
    files: Files<'_>,
    environment: Environment,
) -> Result<ScanSettings, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let told = |error: common::config::ConfigError| {
        let prefix = format!("{}/", folder.path().display());
        error.0.iter().map(|it| it.to_string().replace(&prefix, "")).collect::<Vec<_>>()
    };
    let source = Source::load(Some(&folder.path().join(files[0].0))).map_err(told)?;
    let reader = Reader::new(source, environment);
    let settings = ScanArgs::default().read(&reader);
    reader.finish(settings).map_err(told)
}

pub(in crate::scan) fn settings_of(files: Files<'_>) -> Result<ScanSettings, Vec<String>> {
    read_in(files, Environment::default())
}

pub(in crate::scan) fn problems_of(files: Files<'_>) -> Vec<String> {
    settings_of(files).unwrap_err()
}

#[test]
fn secrets_and_patterns_are_read_per_repository() {
    let config = "[scan]\ninternal-patterns = [\"rhel\", \"internal\"]\nsecrets = [\"a\"]\nbots-repo = \"o/bots\"\n\
                  [scan.extra-secrets]\n\"o/r\" = [\"b\", \"c\"]\n";
    let settings = settings_of(&[("c.toml", config)]).unwrap();
    assert!(settings.is_internal("x/internal") && !settings.is_internal("fedora"));
    assert_eq!(settings.secrets_for(&"o/r".parse().unwrap()).len(), 3);
    assert_eq!(settings.secrets_for(&"o/x".parse().unwrap()).len(), 1);
    let config = "[scan]\ninternal-patterns = [\"\"]\nsecrets = [\"-\"]\nbots-repo = \"..\"\n\
                  [scan.extra-secrets]\n\"..\" = []\n\"o/r\" = 5\n";
    let problems = problems_of(&[("c.toml", config)]);
    let places: Vec<_> =
        problems.iter().map(|it| it.split(": ").take(2).collect::<Vec<_>>().join(": ")).collect();
    assert_eq!(
        places,
        [
            "c.toml:2: scan.internal-patterns",
            "c.toml:4: scan.bots-repo",
            "c.toml:3: scan.secrets",
            "c.toml:6: scan.extra-secrets.\"..\"",
            "c.toml:7: scan.extra-secrets.\"o/r\"",
        ]
    );
}

#[test]
fn a_context_can_be_injected_from_the_environment() {
    let with = |text: &str| Environment { testmap_inject: Some(text.to_owned()), ..Environment::default() };
    let config = "[scan.test-map.\"o/r\"]\nmain = [\"debian\"]\n";
    // The branch is the first part, as the old programs have it, and the rest is the context.
    let settings = read_in(&[("c.toml", config)], with("main/fedora/devel")).unwrap();
    let contexts = |repo: &str, branch: &str| -> Vec<String> {
        let (repo, branch) = (repo.parse().unwrap(), branch.parse().unwrap());
        settings.test_map.contexts(&repo, &branch).map(ToString::to_string).collect()
    };
    assert_eq!(contexts("o/r", "main"), ["debian", "fedora/devel"]);
    assert_eq!(contexts("o/r", "other"), [""; 0]);
    assert_eq!(contexts("nobody/lists", "main"), ["fedora/devel"]);
    for bad in ["main", "main/", "/fedora", "ma..in/fedora", "main/@", "main//x"] {
        let problems = read_in(&[("c.toml", config)], with(bad)).unwrap_err();
        assert_eq!(
            problems,
            ["$COCKPIT_TESTMAP_INJECT: expected BRANCH/CONTEXT, such as `main/fedora/devel`"]
        );
    }
}
