//! Makes situations: always the same ones, so that a table made anew differs only where a program does.

mod issue_scan;
mod tests_scan;
mod tests_trigger;
mod words;

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use super::world::{Repository, World};
use super::{Program, Situation};

/// Who may have tests run.
pub const ALLOWED: [&str; 3] = ["alice", "cockpit-project", "release-bot[bot]"];

/// The commit that the branch of a situation's git repository tracks: an empty tree, without parents.
pub const UPSTREAM: &str = "91ada352c727588c756a04e451369dec0eca0683";

const COCKPIT: &str = "cockpit-project/cockpit";
const BOTS: &str = "cockpit-project/bots";

/// Repository, branch, contexts. The names with a meaning are those of the fleet that exists.
pub fn test_map() -> Value {
    json!({
        "cockpit-project/bots": {"main": []},
        "octo/bots": {"main": ["arch"]},
        "cockpit-project/cockpit": {
            "main": ["arch/networking", "arch/storage", "debian-testing/other", "fedora-43/devel", "rhel-9-8/networking"],
            "rhel-8": ["rhel-8-10/other", "rhel-8-10-distropkg/other"],
            "_manual": ["fedora-rawhide", "opensuse-tumbleweed/networking"],
        },
        "cockpit-project/starter-kit": {"main": ["fedora-43", "arch"], "_manual": ["centos-10"]},
        "candlepin/subscription-manager": {"main": ["centos-10"], "subscription-manager-1.28": ["rhel-8-10"]},
        "rhinstaller/anaconda-webui": {"main": ["fedora-rawhide-boot/efi", "fedora-rawhide-boot/dnf"]},
        "weldr/lorax": {"master": ["fedora-43/osbuild"], "_manual": ["arch"]},
        "codeberg:lis/test.thing": {"main": [], "cockpit-ci": ["debian-testing"], "_manual": ["arch"]},
    })
}

/// All of them.
pub fn situations() -> Vec<Situation> {
    let mut all = tests_scan::all();
    all.extend(issue_scan::all());
    all.extend(tests_trigger::all());
    all
}

/// A group of situations from one seed.
fn group(name: &str, seed: u64, count: usize, make: impl Fn(&mut Rng) -> Draft) -> Vec<Situation> {
    let mut rng = Rng::with_seed(seed);
    (0..count).map(|number| make(&mut rng).named(&format!("{name} {number}"))).collect()
}

/// A situation without its name.
struct Draft {
    program: Program,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    refused: Vec<String>,
    forge: World,
}

impl Draft {
    fn new(program: Program, repo: &str) -> Self {
        Self { arguments: vec!["--repo".to_owned(), repo.to_owned()], ..Self::bare(program) }
    }

    fn bare(program: Program) -> Self {
        let (arguments, environment, refused) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { program, arguments, environment, refused, forge: World::default() }
    }

    fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&it| it.to_owned()));
        self
    }

    fn on(mut self, repo: &str, repository: Repository) -> Self {
        self.forge.0.insert(repo.to_owned(), repository);
        self
    }

    fn named(self, name: &str) -> Situation {
        let Self { program, arguments, environment, refused, forge } = self;
        Situation { name: name.to_owned(), program, arguments, environment, refused, forge }
    }
}

/// One of these.
fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// True in so many of a hundred cases.
fn percent(rng: &mut Rng, of_hundred: u32) -> bool {
    rng.u32(..100) < of_hundred
}

/// A commit.
fn sha(rng: &mut Rng) -> String {
    (0..40).map(|_| char::from_digit(rng.u32(..16), 16).unwrap_or('0')).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn situations_are_the_same_each_time_and_have_names_of_their_own() {
        let all = situations();
        assert_eq!(all, situations());
        let names: BTreeSet<_> = all.iter().map(|it| &it.name).collect();
        assert_eq!(names.len(), all.len());
    }
}
