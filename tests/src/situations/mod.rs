//! Situations: a forge in some state, a program with its arguments, and what the program does then.
//!
//! `tests/interop/decisions.jsonl` holds several hundred of them, a line each, with what the programs of an existing deployment
//! did (`old`). They were made by [`generate`] and played by [`old`]: `cargo run -p tests --bin record-old -- FOLDER` does both
//! again with a checkout of those programs. The integration test `old_programs` plays each with ours and compares.
//!
//! | module | what it is about |
//! |---|---|
//! | [`world`] | the state of the forge |
//! | [`tap`] | what goes between a program and the forge |
//! | [`observe`] | what a program did, made comparable |
//! | [`old`], [`ours`] | playing a situation |
//! | [`compare`] | the differences |
//! | [`reasons`] | those that are meant |

pub mod compare;
pub mod generate;
pub mod observe;
pub mod old;
pub mod ours;
pub mod reasons;
pub mod tap;
pub mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use self::observe::Observed;
use self::world::World;

/// Stands for the broker's address in the arguments of a situation.
pub const AMQP: &str = "$AMQP";

/// A program that both generations have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// Contexts of pull requests become jobs.
    TestsScan,
    /// Check lists of issues become jobs.
    IssueScan,
    /// Contexts are asked for by hand.
    TestsTrigger,
}

impl Program {
    /// The name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::TestsScan => "tests-scan",
            Self::IssueScan => "issue-scan",
            Self::TestsTrigger => "tests-trigger",
        }
    }
}

/// A program about to be started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Situation {
    /// What to call it: a group and a number.
    pub name: String,
    /// What is started.
    pub program: Program,
    /// With what; [`AMQP`] is replaced.
    pub arguments: Vec<String>,
    /// Variables beside those that every situation has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Contexts of which the forge takes no status: 422, with its list of errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// The forge.
    pub forge: World,
}

/// A situation, and what the old program did in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The situation.
    pub situation: Situation,
    /// What happened.
    pub old: Observed,
}

/// A file beside the old programs' driver.
pub fn interop(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name)
}

/// Reads the committed table.
pub fn decisions() -> Result<Vec<Decision>> {
    let file = interop("decisions.jsonl");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}:{}", file.display(), number + 1))
    };
    text.lines().enumerate().map(parse).collect()
}

/// Writes it.
pub fn save(decisions: &[Decision]) -> Result<()> {
    let lines: Vec<_> = decisions.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    fs::write(interop("decisions.jsonl"), lines.join("\n") + "\n").context("cannot write the table")
}
