//! The secrets of one run: of those that the job names the ones that the rules allow, as files that exist for as long as it runs.

mod folder;
mod rule;
mod values;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use common::id::{SecretName, TaskId};
use secrecy::{ExposeSecret, SecretSlice};

pub use self::folder::NoPlace;
pub(super) use self::folder::{LeftSecrets, SecretFolder, abandoned, place};
pub(super) use self::rule::{Author, Decision, Origin, Rules};
use self::values::Values;
use super::{ContainerSettings, InlineSecret, SecretSettings};

/// The words that give a run its secrets, and the private folder that is gone with this value.
#[derive(Debug)]
pub(super) struct GivenSecrets {
    pub(super) words: Vec<String>,
    values: Vec<SecretSlice<u8>>,
    folder: Option<SecretFolder>,
}

impl GivenSecrets {
    /// What the run was given: texts of inline secrets, contents of files and of folders (64 files at most, of 64 KiB each at
    /// most), without the white space around them, each once. For whoever keeps them out of logs.
    pub(super) fn values(&self) -> &[SecretSlice<u8>] {
        &self.values
    }

    /// What was given stays for whoever goes on with the task.
    pub(super) fn leave(self) {
        if let Some(folder) = self.folder {
            folder.leave();
        }
    }
}

/// Why a secret can't be given.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("the private folder for secrets")]
    Folder(#[source] io::Error),
    #[error(
        "container.secrets.{user} refers to %{{{name}}}, which is neither in secrets.external nor in secrets.inline"
    )]
    Unknown { user: SecretName, name: String },
}

/// Prepares these for a task; a name that `container.secrets` does not have gives nothing, as in existing deployments.
pub(super) fn give(
    task: &TaskId,
    named: &[&SecretName],
    container: &ContainerSettings,
    secrets: &SecretSettings,
) -> Result<GivenSecrets, SecretError> {
    let mut giving = Giving { task, secrets, folder: None, values: Values::default() };
    let mut words = Vec::new();
    for name in named {
        let Some(templates) = container.secrets.get(name) else {
            tracing::debug!(secret = %name, "the job names a secret that this worker does not have");
            continue;
        };
        for template in templates {
            words.push(giving.fill(template, name)?);
        }
    }
    Ok(GivenSecrets { words, values: giving.values.into_vec(), folder: giving.folder })
}

/// The names `x` of all `%{x}` in a word.
fn references(template: &str) -> impl Iterator<Item = &str> {
    template.split("%{").skip(1).filter_map(|it| it.split_once('}')).map(|(name, _)| name)
}

struct Giving<'a> {
    task: &'a TaskId,
    secrets: &'a SecretSettings,
    /// Made for the first that needs it.
    folder: Option<SecretFolder>,
    values: Values,
}

impl Giving<'_> {
    /// Replaces each `%{x}` by the path of secret `x`.
    fn fill(&mut self, template: &str, user: &SecretName) -> Result<String, SecretError> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("%{") {
            let Some((name, after)) = after.split_once('}') else { break };
            filled.push_str(before);
            filled.push_str(&self.path(name, user)?.to_string_lossy());
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn path(&mut self, name: &str, user: &SecretName) -> Result<PathBuf, SecretError> {
        let unknown = || SecretError::Unknown { user: user.clone(), name: name.to_owned() };
        let secret = SecretName::new(name).map_err(|_| unknown())?;
        if let Some(path) = self.secrets.external.get(&secret) {
            self.values.add_external(path);
            return Ok(path.clone());
        }
        let inline = self.secrets.inline.get(&secret).ok_or_else(unknown)?;
        let path = self.folder().map_err(SecretError::Folder)?.join(name);
        if !path.exists() {
            write(&path, inline).map_err(SecretError::Folder)?;
            self.values.add_inline(inline);
        }
        Ok(path)
    }

    fn folder(&mut self) -> io::Result<&Path> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => SecretFolder::make(&self.secrets.places, self.task)?,
        };
        Ok(self.folder.insert(folder).path())
    }
}

/// Readable for every user in the container, as in existing deployments: their images have users of their own. Outside nobody
/// comes past the folder that it is in.
fn write(path: &Path, secret: &InlineSecret) -> io::Result<()> {
    match secret {
        InlineSecret::Text(text) => {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
            file.write_all(text.expose_secret().as_bytes())
        }
        InlineSecret::Folder(files) => {
            SecretFolder::make_dir(path)?;
            files.iter().try_for_each(|(name, secret)| write(&path.join(name), secret))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use super::super::{Bounds, Engine};
    use super::folder::tests::memory;
    use super::*;

    pub(super) fn settings() -> (ContainerSettings, SecretSettings) {
        let words = |it: &[&str]| it.iter().map(ToString::to_string).collect::<Vec<_>>();
        let name = |it: &str| SecretName::new(it).unwrap();
        let container = ContainerSettings {
            engine: Engine::default(),
            bounds: Bounds::default(),
            run_args: Vec::new(),
            default_image: None,
            secrets: BTreeMap::from([
                (
                    name("token"),
                    words(&["--volume=%{token}:/run/secrets/token:ro", "--env=TOKEN=/run/secrets/token"]),
                ),
                (name("keys"), words(&["-v", "%{keys}:/keys", "%{outside}"])),
                (name("broken"), words(&["%{nowhere}"])),
            ]),
        };
        let folder = BTreeMap::from([("a".to_owned(), InlineSecret::Text("A\n\u{1f511}\n".into()))]);
        let secrets = SecretSettings {
            external: BTreeMap::from([(name("outside"), "/etc/outside".into())]),
            inline: BTreeMap::from([
                (name("token"), InlineSecret::Text("hunter2".into())),
                (name("keys"), InlineSecret::Folder(folder)),
            ]),
            ..SecretSettings::default()
        };
        (container, secrets)
    }

    /// What is given, and where.
    fn given(names: &[&str]) -> (tempfile::TempDir, Result<GivenSecrets, SecretError>) {
        let (container, mut secrets) = settings();
        let memory = memory();
        secrets.places = vec![memory.path().to_owned()];
        let names: Vec<_> = names.iter().map(|it| SecretName::new(*it).unwrap()).collect();
        let names: Vec<_> = names.iter().collect();
        let given = give(&TaskId::new("t").unwrap(), &names, &container, &secrets);
        (memory, given)
    }

    fn texts(given: &GivenSecrets) -> Vec<String> {
        given.values().iter().map(|it| String::from_utf8(it.expose_secret().to_vec()).unwrap()).collect()
    }

    fn is_empty(folder: &Path) -> bool {
        std::fs::read_dir(folder).unwrap().next().is_none()
    }

    #[test]
    fn a_job_gets_what_it_names_and_nothing_else() {
        for names in [&[][..], &["unheard-of"]] {
            let (memory, given) = given(names);
            let given = given.unwrap();
            assert!(given.words.is_empty() && given.values().is_empty());
            assert!(is_empty(memory.path()), "no folder for nothing");
        }
        let (memory, token) = given(&["token"]);
        let token = token.unwrap();
        let path = token.words[0].strip_prefix("--volume=").unwrap().split(':').next().unwrap().to_owned();
        assert!(Path::new(&path).starts_with(memory.path()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "hunter2");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o700, 0o600);
        assert_eq!(token.words[1], "--env=TOKEN=/run/secrets/token");
        assert_eq!(texts(&token), ["hunter2"]);
        drop(token);
        assert!(is_empty(memory.path()));
    }

    #[test]
    fn folders_and_external_secrets_have_paths_too() {
        let (_memory, keys) = given(&["keys", "token"]);
        let keys = keys.unwrap();
        let path = keys.words[1].split(':').next().unwrap();
        assert_eq!(std::fs::read_to_string(Path::new(path).join("a")).unwrap(), "A\n\u{1f511}\n");
        assert_eq!(keys.words[2], "/etc/outside");
        assert_eq!(texts(&keys), ["A\n\u{1f511}", "hunter2"]);
    }

    #[test]
    fn a_reference_to_nothing_is_an_error_that_names_it() {
        let error = given(&["broken"]).1.err().unwrap().to_string();
        assert!(error.contains("container.secrets.broken") && error.contains("%{nowhere}"), "{error}");
    }
}
