//! Removes what a former attempt left in a log's folder, by the rules of the local store.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::StatusCode;
use rusty_s3::actions::list_objects_v2::ListObjectsContent;
use rusty_s3::actions::{DeleteObject, ListObjectsV2};

use super::super::name::{Folder, Own};
use super::client::{Client, Content};
use super::problem::{Problem, Refusal, S3Error};

/// How many deletions are under way at a time.
const AT_ONCE: usize = 4;
/// More names than this in one folder are not ours: a job leaves a few thousand at most.
const MOST_NAMES: usize = 20_000;
const DOING: &str = "list";

/// What is directly in a folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Names of objects, without the folder's, and their sizes in bytes.
    pub(super) objects: BTreeMap<String, u64>,
    /// Names of folders, without this one's, with the slash at the end.
    folders: Vec<String>,
}

impl Listing {
    fn holds_a_log(&self) -> bool {
        self.objects.contains_key(&Own::Page.to_string())
    }

    /// The page and the list of chunks stay: they are replaced. Other files are attachments only where a page shows
    /// that a log was kept here.
    fn leftovers(&self) -> impl Iterator<Item = &String> {
        let held_a_log = self.holds_a_log();
        self.objects.keys().filter(move |name| match Own::parse(name) {
            Some(Own::Page | Own::List) => false,
            Some(_) => true,
            None => held_a_log,
        })
    }
}

impl Client {
    /// Clears a log's folder. A key that may not list (the older programs do not) can still delete: of what is left there,
    /// only the end of a former attempt would be taken for this one's.
    pub(super) async fn clear(&self, folder: &Folder) -> Result<(), S3Error> {
        let root = format!("{}/", folder.as_str());
        let listing = match self.list(&root).await {
            Err(error) if is_forbidden(&error) => {
                tracing::warn!(%error, "attachments of a former attempt stay: the key may not list the bucket");
                let ends = [Own::Whole, Own::Index].map(|it| it.to_string());
                Listing { objects: ends.map(|it| (it, 0)).into(), folders: Vec::new() }
            }
            listed => listed?,
        };
        self.delete_all(&root, listing.leftovers()).await?;
        if !listing.holds_a_log() {
            return Ok(());
        }
        // Folders below that have a page of their own are other logs.
        let mut folders: Vec<String> = listing.folders.iter().map(|it| format!("{root}{it}")).collect();
        while let Some(folder) = folders.pop() {
            let listing = self.list(&folder).await?;
            if !listing.holds_a_log() {
                self.delete_all(&folder, listing.objects.keys()).await?;
                folders.extend(listing.folders.iter().map(|it| format!("{folder}{it}")));
            }
        }
        Ok(())
    }

    /// Deletes one object of that name below the prefix; it's fine if there is none.
    pub(super) async fn delete(&self, name: &str) -> Result<(), S3Error> {
        let key = self.place.key(name);
        let delete = DeleteObject::new(&self.place.bucket, Some(self.key.credentials()), &key);
        match self.send("delete", name, delete, Content::Nothing).await {
            Err(error) if matches!(&error.problem, Problem::Refused(it) if it.code == "NoSuchKey") => Ok(()),
            done => done.map(drop),
        }
    }

    async fn delete_all(&self, folder: &str, names: impl Iterator<Item = &String>) -> Result<(), S3Error> {
        let names: Vec<String> = names.map(|it| format!("{folder}{it}")).collect();
        let deletions = names.into_iter().map(async |name| self.delete(&name).await);
        stream::iter(deletions).buffer_unordered(AT_ONCE).try_collect().await
    }

    pub(super) async fn list(&self, folder: &str) -> Result<Listing, S3Error> {
        let prefix = self.place.key(folder);
        let mut listing = Listing::default();
        let mut from: Option<String> = None;
        loop {
            let mut list = ListObjectsV2::new(&self.place.bucket, Some(self.key.credentials()));
            list.with_prefix(prefix.as_str());
            list.with_delimiter("/");
            if let Some(token) = from.take() {
                list.with_continuation_token(token);
            }
            let answer = self.send(DOING, folder, list, Content::Nothing).await?;
            let page = ListObjectsV2::parse_response(&answer.text())
                .map_err(|it| self.unreadable(DOING, folder, &it))?;
            let named =
                |it: &ListObjectsContent| Some((plain(it.key.strip_prefix(&prefix)?)?.to_owned(), it.size?));
            listing.objects.extend(page.contents.iter().filter_map(named));
            let folders = page.common_prefixes.iter().filter_map(|it| it.prefix.strip_prefix(&prefix));
            listing
                .folders
                .extend(folders.filter(|it| plain(it.trim_end_matches('/')).is_some()).map(str::to_owned));
            from = page.next_continuation_token;
            if from.is_none() || listing.objects.len() + listing.folders.len() > MOST_NAMES {
                return Ok(listing);
            }
        }
    }
}

/// A name that means the same in a URL as in a bucket; none of ours is another.
fn plain(name: &str) -> Option<&str> {
    (!matches!(name, "" | "." | "..") && !name.contains('/')).then_some(name)
}

pub(super) fn is_forbidden(error: &S3Error) -> bool {
    matches!(&error.problem, Problem::Refused(Refusal { status: StatusCode::FORBIDDEN, code, .. }) if code == "AccessDenied")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leftovers(objects: &[&str]) -> Vec<String> {
        let objects = objects.iter().map(|&it| (it.to_owned(), 1)).collect();
        Listing { objects, folders: Vec::new() }.leftovers().cloned().collect()
    }

    #[test]
    fn what_is_left_over_is_what_the_local_store_removes() {
        assert_eq!(leftovers(&[]), [""; 0]);
        assert_eq!(leftovers(&["precious", "log.txt"]), [""; 0]);
        assert_eq!(leftovers(&["log", "log.0-5", "log.chunks", "precious"]), ["log", "log.0-5"]);
        assert_eq!(leftovers(&["a.png", "index.html", "log.html", "log.chunks"]), ["a.png", "index.html"]);
    }

    #[test]
    fn names_that_lead_elsewhere_are_left_alone() {
        for bad in ["", ".", "..", "a/b"] {
            assert_eq!(plain(bad), None, "{bad:?}");
        }
        assert_eq!(plain("a b+%\"'"), Some("a b+%\"'"));
    }
}
