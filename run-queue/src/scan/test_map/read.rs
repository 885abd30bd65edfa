//! Reads a test map: repository → branch → contexts, one by one or as products of images and scenarios.

use common::config::{Node, Place};
use common::id::{BranchName, Context};

use super::TestMap;
use crate::scan::{Project, TestContext};

/// More than a forge takes statuses for one commit, and a bound for products.
const MOST_CONTEXTS: usize = 1000;

impl TestMap {
    /// Reads what it can and complains about the rest.
    #[must_use]
    pub fn read(node: &Node, place: &Place<'_>) -> Self {
        let mut map = Self::default();
        let Some(repos) = node.as_table() else {
            place.problem(node.line, "expected repositories: \"owner/name\" = { branch = [contexts] }");
            return map;
        };
        for (name, branches) in repos {
            let place = place.at(name);
            match name.parse() {
                Ok(project) => map.read_repo(&project, branches, &place),
                Err(error) => place.problem(branches.line, format!("expected [forge:]owner/name: {error}")),
            }
        }
        map
    }

    fn read_repo(&mut self, project: &Project, node: &Node, place: &Place<'_>) {
        let Some(branches) = node.as_table() else {
            place.problem(node.line, "expected branches: { branch = [contexts] }");
            return;
        };
        self.insert_repo(project.clone());
        for (name, contexts) in branches {
            let place = place.at(name);
            match BranchName::new(name) {
                Ok(branch) => self.insert(project.clone(), branch, read_contexts(contexts, &place)),
                Err(error) => place.problem(contexts.line, error.to_string()),
            }
        }
    }
}

fn read_contexts(node: &Node, place: &Place<'_>) -> Vec<Context> {
    let Some(items) = node.as_list() else {
        place.problem(node.line, "expected a list of contexts");
        return Vec::new();
    };
    let mut contexts = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let place = place.item(number);
        if item.as_table().is_some() {
            read_product(item, &place, &mut contexts);
        } else if let Some(text) = item.as_str() {
            contexts.extend(read_context(text, item.line, &place));
        } else {
            place.problem(
                item.line,
                "expected a context in quotes, or a product { images = […], scenarios = […] }",
            );
        }
        if contexts.len() > MOST_CONTEXTS {
            place.problem(
                item.line,
                format!("is more than the {MOST_CONTEXTS} contexts that a branch may have"),
            );
            break;
        }
    }
    contexts
}

fn read_context(text: &str, line: usize, place: &Place<'_>) -> Option<Context> {
    let parsed = text.parse::<TestContext>().map_err(|it| it.to_string());
    let context = parsed.and_then(|_| Context::new(text).map_err(|it| it.to_string()));
    context.inspect_err(|it| place.problem(line, it)).ok()
}

/// `{ images = […], scenarios = […] }`: image by image, each with all scenarios in their order. `""` is the image without a
/// scenario, and so is a product that names none.
fn read_product(node: &Node, place: &Place<'_>, contexts: &mut Vec<Context>) {
    for (name, value) in node.as_table().into_iter().flatten() {
        if !matches!(name.as_str(), "images" | "scenarios") {
            place.at(name).problem(value.line, "is no known key; there are images, scenarios");
        }
    }
    let images = words(node, "images", place);
    let scenarios = words(node, "scenarios", place).unwrap_or_else(|| vec![("", node.line)]);
    let Some(images) = images else {
        place.problem(node.line, "expected images = […]");
        return;
    };
    if images.len().saturating_mul(scenarios.len()) > MOST_CONTEXTS {
        place.problem(node.line, format!("is more than the {MOST_CONTEXTS} contexts that a branch may have"));
        return;
    }
    for (image, line) in images {
        if image.contains(['/', '@']) {
            place.at("images").problem(line, format!("{image:?}: expected an image without a scenario"));
            continue;
        }
        for (scenario, _) in &scenarios {
            let separator = if scenario.is_empty() { "" } else { "/" };
            contexts.extend(read_context(&format!("{image}{separator}{scenario}"), line, place));
        }
    }
}

/// The texts of a list with their lines; none where it is missing.
fn words<'n>(node: &'n Node, name: &str, place: &Place<'_>) -> Option<Vec<(&'n str, usize)>> {
    let list = node.as_table()?.get(name)?;
    let place = place.at(name);
    let items = list.as_list().filter(|it| !it.is_empty());
    let Some(items) = items else {
        place.problem(list.line, "expected a list of texts with at least one in it");
        return Some(Vec::new());
    };
    let mut words = Vec::new();
    for (number, item) in items.iter().enumerate() {
        match item.as_str() {
            Some(text) => words.push((text, item.line)),
            None => place.item(number).problem(item.line, "expected a text in quotes"),
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::super::summary;
    use crate::scan::settings::tests::{Files, problems_of, settings_of};

    const PLAIN: &str = r#"{"octo/app": {"main": ["debian", "debian/devel"], "_manual": ["arch"]}, "gitea:p/q": {"7.10": []}}"#;
    const LINES: [&str; 3] =
        ["octo/app _manual: arch", "octo/app main: debian debian/devel", "gitea:p/q 7.10:"];

    #[test]
    fn the_formats_and_the_table_say_the_same() {
        let toml = "[\"octo/app\"]\nmain = [\"debian\", \"debian/devel\"]\n_manual = [\"arch\"]\n[\"gitea:p/q\"]\n\"7.10\" = []\n";
        let yaml =
            "octo/app:\n  main: [debian, debian/devel]\n  _manual:\n  - arch\ngitea:p/q:\n  7.10: []\n";
        for (name, text) in
            [("m.json", PLAIN), ("m.toml", toml), ("m.yaml", yaml), ("m.yml", yaml), ("map", PLAIN)]
        {
            let config = format!("[scan]\ntest-map = \"{name}\"\n");
            let settings = settings_of(&[("c.toml", &config), (name, text)]).unwrap();
            assert_eq!(summary(&settings.test_map), LINES, "{name}");
        }
        let table = "[scan.test-map.\"octo/app\"]\nmain = [\"debian\", \"debian/devel\"]\n_manual = [\"arch\"]\n\
                     [scan.test-map.\"gitea:p/q\"]\n\"7.10\" = []\n";
        assert_eq!(summary(&settings_of(&[("c.toml", table)]).unwrap().test_map), LINES);
    }

    #[test]
    fn products_are_written_out_image_by_image() {
        let expected = ["o/r main: arch fedora fedora/x fedora/y-z rhel rhel/x rhel/y-z suse"];
        let toml = "[\"o/r\"]\nmain = [\"arch\", {images = [\"fedora\", \"rhel\"], scenarios = [\"\", \"x\", \"y-z\"]}, {images = [\"suse\", \"arch\"]}]\n";
        let json = r#"{"o/r": {"main": ["arch", {"images": ["fedora", "rhel"], "scenarios": ["", "x", "y-z"]}, {"images": ["suse", "arch"]}]}}"#;
        let yaml = "o/r:\n  main:\n  - arch\n  - images: &i [fedora, rhel]\n    scenarios: ['', x, y-z]\n  - images: [suse, arch]\n";
        for (name, text) in [("m.toml", toml), ("m.json", json), ("m.yaml", yaml)] {
            let config = format!("[scan]\ntest-map = \"{name}\"\n");
            let settings = settings_of(&[("c.toml", &config), (name, text)]).unwrap();
            assert_eq!(summary(&settings.test_map), expected, "{name}");
        }
    }

    #[test]
    fn problems_have_file_line_and_key() {
        let yaml = "o/..:\n  main: []\no/r:\n  ma..in: []\n  a: x\n  b:\n  - ''\n  - 5\n  - '@'\n  - images: [a/b, c]\n    scenarios: []\n    other: 1\n  - scenarios: [x]\nx/y:\n- main\n";
        let files: Files = &[("c.toml", "[scan]\ntest-map = \"m.yaml\"\n"), ("m.yaml", yaml)];
        let expected = [
            "m.yaml:1: \"o/..\": expected [forge:]owner/name",
            "m.yaml:5: \"o/r\".a: expected a list of contexts",
            "m.yaml:7: \"o/r\".b[0]: ",
            "m.yaml:8: \"o/r\".b[1]: expected a context in quotes",
            "m.yaml:9: \"o/r\".b[2]: ",
            "m.yaml:12: \"o/r\".b[3].other: is no known key",
            "m.yaml:11: \"o/r\".b[3].scenarios: expected a list",
            "m.yaml:10: \"o/r\".b[3].images: \"a/b\": expected an image",
            "m.yaml:13: \"o/r\".b[4]: expected images",
            "m.yaml:4: \"o/r\".\"ma..in\": ",
            "m.yaml:14: \"x/y\": expected branches",
        ];
        let problems = problems_of(files);
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem}\nis not\n{expected}");
        }
    }

    #[test]
    fn a_branch_or_a_repository_that_is_there_twice_is_refused_in_every_format() {
        for (name, text, expected) in [
            ("m.json", "{\"o/r\": {\"main\": [],\n\"main\": []}}", "m.json:2: \"o/r\".main: is there twice"),
            ("m.yaml", "o/r:\n  main: []\n  main: []", "m.yaml:3: \"o/r\".main: is there twice"),
            ("m.toml", "[\"o/r\"]\nmain = []\nmain = []", "m.toml:3: main: is there twice"),
            ("m.json", "{\"o/r\": {},\n\"o/r\": {}}", "m.json:2: \"o/r\": is there twice"),
            ("m.yaml", "o/r: {}\no/r: {}", "m.yaml:2: \"o/r\": is there twice"),
            ("m.toml", "[\"o/r\"]\n[\"o/r\"]", "m.toml:2: \"o/r\": is there twice"),
        ] {
            let config = format!("[scan]\ntest-map = \"{name}\"\n");
            let problems = problems_of(&[("c.toml", &config), (name, text)]);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(expected), "{} is not {expected}", problems[0]);
        }
    }

    #[test]
    fn bad_files_are_problems_with_a_place() {
        let deep = format!("{{\"o/r\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let many: Vec<_> = (0..40).map(|it| format!("\"i{it}\"")).collect();
        let many = many.join(",");
        let product =
            format!("{{\"o/r\": {{\"main\":\n[{{\"images\": [{many}], \"scenarios\": [{many}]}}]}}}}");
        for (name, text, expected) in [
            ("m.json", deep.as_str(), "m.json:1: \"o/r\""),
            ("m.yaml", deep.as_str(), "m.yaml:1: is not YAML: recursion limit"),
            ("m.json", product.as_str(), "m.json:2: \"o/r\".main[0]: is more than the 1000 contexts"),
            ("m.yaml", "", "m.yaml:1: is empty"),
            ("m.yaml", "# none\n", "m.yaml:1: expected repositories"),
            ("m.toml", "\n", "m.toml:1: is empty"),
            ("m.json", "[]", "m.json:1: expected repositories"),
            ("m.json", "", "m.json:1: is empty"),
        ] {
            let config = format!("[scan]\ntest-map = \"{name}\"\n");
            let problems = problems_of(&[("c.toml", &config), (name, text)]);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(expected), "{} is not {expected}", problems[0]);
        }
        let missing = problems_of(&[("c.toml", "[scan]\ntest-map = \"none.json\"\n")]);
        assert!(missing[0].starts_with("none.json: cannot be read"), "{missing:?}");
        let wrong = problems_of(&[("c.toml", "[scan]\n\ntest-map = 5\n")]);
        assert!(wrong[0].starts_with("c.toml:3: scan.test-map: expected a file's path"), "{wrong:?}");
    }
}
