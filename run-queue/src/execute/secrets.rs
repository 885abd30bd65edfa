//! The secrets of one run: only those that the job names, as files that exist for as long as it runs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use common::id::SecretName;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{ContainerSettings, InlineSecret, SecretSettings};

/// The words that give a run its secrets, and the private folder that is gone with this value.
pub(super) struct GivenSecrets {
    pub(super) words: Vec<String>,
    _folder: TempDir,
}

/// Why a secret can't be given.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("the private folder for secrets")]
    Folder(#[source] std::io::Error),
    #[error(
        "container.secrets.{user} refers to %{{{name}}}, which is neither in secrets.external nor in secrets.inline"
    )]
    Unknown { user: SecretName, name: String },
}

/// Prepares what the job names; a name that `container.secrets` does not have gives nothing, as in existing deployments.
pub(super) fn give(
    named: &[SecretName],
    container: &ContainerSettings,
    secrets: &SecretSettings,
) -> Result<GivenSecrets, SecretError> {
    let folder =
        tempfile::Builder::new().prefix("flotilla-secrets-").tempdir().map_err(SecretError::Folder)?;
    let mut words = Vec::new();
    for name in named {
        let Some(templates) = container.secrets.get(name) else {
            tracing::debug!(secret = %name, "the job names a secret that this worker does not have");
            continue;
        };
        for template in templates {
            words.push(fill(template, name, secrets, folder.path())?);
        }
    }
    Ok(GivenSecrets { words, _folder: folder })
}

/// Replaces each `%{x}` by the path of secret `x`.
fn fill(
    template: &str,
    user: &SecretName,
    secrets: &SecretSettings,
    folder: &Path,
) -> Result<String, SecretError> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("%{") {
        let Some((name, after)) = after.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(&path(name, user, secrets, folder)?.to_string_lossy());
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn path(
    name: &str,
    user: &SecretName,
    secrets: &SecretSettings,
    folder: &Path,
) -> Result<PathBuf, SecretError> {
    let unknown = || SecretError::Unknown { user: user.clone(), name: name.to_owned() };
    let secret = SecretName::new(name).map_err(|_| unknown())?;
    if let Some(path) = secrets.external.get(&secret) {
        return Ok(path.clone());
    }
    let inline = secrets.inline.get(&secret).ok_or_else(unknown)?;
    let path = folder.join(name);
    if !path.exists() {
        write(&path, inline).map_err(SecretError::Folder)?;
    }
    Ok(path)
}

fn write(path: &Path, secret: &InlineSecret) -> std::io::Result<()> {
    match secret {
        InlineSecret::Text(text) => {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.expose_secret().as_bytes())
        }
        InlineSecret::Folder(files) => write_folder(path, files),
    }
}

fn write_folder(path: &Path, files: &BTreeMap<String, InlineSecret>) -> std::io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(path)?;
    files.iter().try_for_each(|(name, secret)| write(&path.join(name), secret))
}

#[cfg(test)]
mod tests {
    use super::super::{Bounds, Engine};
    use super::*;

    fn settings() -> (ContainerSettings, SecretSettings) {
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
        let folder = BTreeMap::from([("a".to_owned(), InlineSecret::Text("A".into()))]);
        let secrets = SecretSettings {
            external: BTreeMap::from([(name("outside"), "/etc/outside".into())]),
            inline: BTreeMap::from([
                (name("token"), InlineSecret::Text("hunter2".into())),
                (name("keys"), InlineSecret::Folder(folder)),
            ]),
        };
        (container, secrets)
    }

    fn given(names: &[&str]) -> Result<GivenSecrets, SecretError> {
        let (container, secrets) = settings();
        let names: Vec<_> = names.iter().map(|it| SecretName::new(*it).unwrap()).collect();
        give(&names, &container, &secrets)
    }

    #[test]
    fn a_job_gets_what_it_names_and_nothing_else() {
        assert!(given(&[]).unwrap().words.is_empty());
        assert!(given(&["unheard-of"]).unwrap().words.is_empty());
        let token = given(&["token"]).unwrap();
        let path = token.words[0].strip_prefix("--volume=").unwrap().split(':').next().unwrap().to_owned();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "hunter2");
        assert_eq!(token.words[1], "--env=TOKEN=/run/secrets/token");
        drop(token);
        assert!(!Path::new(&path).exists());
    }

    #[test]
    fn folders_and_external_secrets_have_paths_too() {
        let keys = given(&["keys"]).unwrap();
        let path = keys.words[1].split(':').next().unwrap();
        assert_eq!(std::fs::read_to_string(Path::new(path).join("a")).unwrap(), "A");
        assert_eq!(keys.words[2], "/etc/outside");
    }

    #[test]
    fn a_reference_to_nothing_is_an_error_that_names_it() {
        let error = given(&["broken"]).err().unwrap().to_string();
        assert!(error.contains("container.secrets.broken") && error.contains("%{nowhere}"), "{error}");
    }
}
