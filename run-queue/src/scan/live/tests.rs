use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A watch whose looks are the test's to make.
struct Watched {
    folder: TempDir,
    live: LiveScanSettings,
    watch: SettingsWatch,
    registry: Registry,
}

const CONFIG: &str = "[scan]\ntest-map = \"map.json\"\n";

impl Watched {
    fn new(config: &str, map: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("c.toml"), config).unwrap();
        fs::write(folder.path().join("map.json"), map).unwrap();
        let source = ScanSource {
            args: ScanArgs::default(),
            file: Some(folder.path().join("c.toml")),
            environment: Environment {
                testmap_inject: Some("x/injected".to_owned()),
                ..Environment::default()
            },
        };
        let (settings, _) = source.read().read.unwrap();
        let (live, watch) = SettingsWatch::new(source, settings, Duration::ZERO, Clock::system());
        let mut registry = Registry::default();
        watch.register(&mut registry);
        Self { folder, live, watch, registry }
    }

    /// Replaces a file as editors do that keep the old one until the new one is whole.
    fn write(&mut self, name: &str, text: &str) {
        let (file, new) = (self.folder.path().join(name), self.folder.path().join("new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, file).unwrap();
    }

    /// As many looks as any change needs.
    fn settle(&mut self) {
        (0..4).for_each(|_| self.watch.look());
    }

    fn contexts(&self) -> Vec<String> {
        let settings = self.live.now();
        settings.test_map.listed().flat_map(|it| it.contexts.iter().map(ToString::to_string)).collect()
    }

    fn metrics(&self) -> (u32, u32, u32) {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let value = |name: &str| {
            let line = text.lines().find_map(|it| it.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        assert!(text.contains("flotilla_scan_settings_read_timestamp_seconds 1"), "{text}");
        (
            value("flotilla_scan_settings_ok"),
            value("flotilla_scan_settings_reloads_total{result=\"Good\"}"),
            value("flotilla_scan_settings_reloads_total{result=\"Broken\"}"),
        )
    }
}

fn map(context: &str) -> String {
    format!("{{\"o/r\": {{\"main\": [\"{context}\"]}}}}")
}

#[test]
fn a_changed_file_counts_and_a_broken_one_leaves_what_was() {
    let mut watched = Watched::new(CONFIG, &map("debian"));
    watched.settle();
    assert_eq!((watched.contexts(), watched.metrics()), (vec!["debian".to_owned()], (1, 0, 0)));
    watched.write("map.json", &map("fedora"));
    watched.settle();
    assert_eq!((watched.contexts(), watched.metrics()), (vec!["fedora".to_owned()], (1, 1, 0)));
    for broken in ["{", "", "[]", &map("@")] {
        watched.write("map.json", broken);
        watched.settle();
        assert_eq!(watched.contexts(), ["fedora"]);
        assert_eq!(watched.metrics().0, 0);
    }
    assert_eq!(watched.metrics(), (0, 1, 4));
    watched.write("map.json", &map("fedora"));
    watched.settle();
    assert_eq!((watched.contexts(), watched.metrics()), (vec!["fedora".to_owned()], (1, 2, 4)));
    // What the environment adds is there whatever was read.
    let branch = "x".parse().unwrap();
    assert_eq!(watched.live.now().test_map.contexts(&"a/b".parse().unwrap(), &branch).count(), 1);
}

#[test]
fn a_file_that_goes_and_comes_is_a_broken_one_in_between() {
    let mut watched = Watched::new(CONFIG, &map("debian"));
    watched.settle();
    for (name, text) in [("map.json", map("debian")), ("c.toml", CONFIG.to_owned())] {
        let before = watched.metrics();
        fs::remove_file(watched.folder.path().join(name)).unwrap();
        watched.settle();
        assert_eq!(
            (watched.contexts(), watched.metrics()),
            (vec!["debian".to_owned()], (0, before.1, before.2 + 1))
        );
        watched.write(name, &text);
        watched.settle();
        assert_eq!(watched.metrics(), (1, before.1 + 1, before.2 + 1), "{name}");
    }
}

#[test]
fn a_file_is_left_alone_while_it_changes() {
    let mut watched = Watched::new(CONFIG, &map("debian"));
    watched.settle();
    for text in ["{", "{\"o/r\"", "{\"o/r\": {\"main\": ["] {
        watched.write("map.json", text);
        watched.watch.look();
    }
    watched.write("map.json", &map("fedora"));
    watched.watch.look();
    assert_eq!((watched.contexts(), watched.metrics()), (vec!["debian".to_owned()], (1, 0, 0)));
    watched.watch.look();
    assert_eq!((watched.contexts(), watched.metrics()), (vec!["fedora".to_owned()], (1, 1, 0)));
}

#[test]
fn a_file_that_the_configuration_newly_names_is_looked_at_too() {
    let mut watched = Watched::new(CONFIG, &map("debian"));
    watched.settle();
    watched.write("other.yaml", "o/r:\n  main: [arch]\n");
    watched.write("c.toml", "[scan]\ntest-map = \"other.yaml\"\nallow-list = \"allow\"\n");
    watched.settle();
    assert_eq!(
        (watched.contexts(), watched.metrics().0),
        (vec!["debian".to_owned()], 0),
        "there is no allow list"
    );
    watched.write("allow", "alice\n");
    watched.settle();
    assert_eq!((watched.contexts(), watched.metrics()), (vec!["arch".to_owned()], (1, 1, 1)));
    assert!(watched.live.now().allow_list.allows("alice"));
    watched.write("allow", "bob\n");
    watched.settle();
    assert!(watched.live.now().allow_list.allows("bob"));
    // The map of before is nobody's business any more.
    watched.write("map.json", "{");
    watched.settle();
    assert_eq!(watched.metrics(), (1, 2, 1));
}

#[test]
fn links_that_are_turned_around_are_a_change() {
    let mut watched = Watched::new(CONFIG, &map("none"));
    let path = watched.folder.path().to_owned();
    let version = |name: &str, context: &str| {
        fs::create_dir(path.join(name)).unwrap();
        fs::write(path.join(name).join("map.json"), map(context)).unwrap();
    };
    version("one", "debian");
    version("two", "fedora");
    let turn = |to: &Path| {
        std::os::unix::fs::symlink(to, path.join("link")).unwrap();
        fs::rename(path.join("link"), path.join("..data")).unwrap();
    };
    turn(Path::new("one"));
    watched.write("c.toml", "[scan]\ntest-map = \"..data/map.json\"\n");
    watched.settle();
    assert_eq!(watched.contexts(), ["debian"]);
    turn(Path::new("two"));
    watched.settle();
    assert_eq!(watched.contexts(), ["fedora"]);
}

#[test]
fn other_tables_and_touched_files_change_nothing() {
    let mut watched = Watched::new(CONFIG, &map("debian"));
    watched.settle();
    watched.write("c.toml", &format!("{CONFIG}[worker]\nattempts = 5\n"));
    watched.write("map.json", &map("debian"));
    watched.settle();
    assert_eq!(watched.metrics(), (1, 0, 0));
    assert_eq!(watched.watch.first.as_ref().map(|_| ()), Some(()));
}

#[tokio::test(start_paused = true)]
async fn the_part_looks_until_it_is_told_to_stop() {
    let Watched { folder, live, watch, .. } = Watched::new(CONFIG, &map("debian"));
    let stopping = CancellationToken::new();
    let stop = stopping.clone();
    let change = async {
        let mut live = live;
        fs::write(folder.path().join("map.json"), map("fedora")).unwrap();
        live.0.changed().await.unwrap();
        stop.cancel();
    };
    tokio::join!(watch.run(&stopping), change);
}
