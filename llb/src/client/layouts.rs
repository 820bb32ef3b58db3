//! The OCI layouts of a build: caches in directories, images to read, images to export.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::cache::{self, CacheOption, Direction, OpenLayout};
use super::error::{Error, ErrorKind};
use crate::progress::Warning;
use crate::proto::moby::buildkit::v1::CacheOptionsEntry;
use crate::session::{self, Layout, ManifestName, base64_decode};

/// The name daemons have for the layout an image is exported to.
const EXPORT: &str = "export";

/// Layouts by the name the daemon calls them by.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    served: session::Layouts,
    /// Caches that are written.
    caches: Vec<OpenLayout>,
    export: Option<Arc<Layout>>,
    notes: Vec<String>,
}

impl Layouts {
    /// A layout the graph reads an image from.
    pub(super) fn add_source(&mut self, name: &str, directory: &Path) -> Result<(), Error> {
        let layout = Layout::read(directory).map_err(|error| {
            let shown = directory.display();
            let text = format!("OCI layout `{name}` at {shown} cannot be read: {error}");
            Error::new(ErrorKind::LocalFile, text).caused_by(error)
        })?;
        // Daemons put this before the name.
        self.served.insert(format!("oci:{name}"), Arc::new(layout));
        Ok(())
    }

    /// The layout the image is exported to.
    pub(super) fn add_export(&mut self, directory: &Path) -> Result<(), Error> {
        if self.export.is_some() {
            let text = "a build exports one OCI layout as a directory, this one several";
            return Err(Error::new(ErrorKind::Request, text)
                .hint("export the others as archives, or copy the directory"));
        }
        let layout = Layout::write(directory).map_err(|error| {
            let text = format!("cannot export to {}: {error}", directory.display());
            Error::new(ErrorKind::Export, text).caused_by(error)
        })?;
        let layout = Arc::new(layout);
        self.served.insert(EXPORT.to_owned(), Arc::clone(&layout));
        self.export = Some(layout);
        Ok(())
    }

    /// Opens caches; gives what is sent of them.
    pub(super) fn open_caches(
        &mut self,
        options: &[CacheOption],
        direction: Direction,
    ) -> Result<Vec<CacheOptionsEntry>, Error> {
        let mut entries = Vec::new();
        for option in options {
            let cache = match option.open(direction)? {
                Ok(cache) => cache,
                Err(note) => {
                    self.notes.push(note);
                    continue;
                }
            };
            entries.push(cache.entry);
            let Some(layout) = cache.layout else {
                continue;
            };
            // A directory that is written and read is one layout, the one that can be written.
            let known = self.served.entry(layout.store.clone());
            known.or_insert_with(|| Arc::clone(&layout.layout));
            if direction == Direction::Write {
                self.caches.push(layout);
            }
        }
        Ok(entries)
    }

    /// What the session serves.
    pub(super) fn served(&self) -> session::Layouts {
        self.served.clone()
    }

    /// What the user should know.
    pub(super) fn notes(&self) -> impl Iterator<Item = Warning> {
        self.notes.iter().map(|note| Warning {
            short: note.clone(),
            ..Warning::default()
        })
    }

    /// Puts what the build has written into the indexes.
    pub(super) fn commit(&self, answers: &BTreeMap<String, String>) -> Result<(), Error> {
        if let Some(manifest) = cache::manifest(answers) {
            for cache in &self.caches {
                put(&cache.layout, &manifest, &cache.names)?;
            }
        }
        if let Some(layout) = &self.export {
            let descriptor = answers
                .get("containerimage.descriptor")
                .and_then(|text| serde_json::from_slice::<Value>(&base64_decode(text)?).ok());
            let Some(descriptor) = descriptor else {
                return Err(Error::new(
                    ErrorKind::Export,
                    "the build succeeded, but the daemon did not say which image it exported",
                ));
            };
            let names = answers.get("image.name").filter(|names| !names.is_empty());
            let names = match names {
                Some(names) => names
                    .split(',')
                    .map(|name| ManifestName::Image(name.to_owned()))
                    .collect(),
                None => vec![ManifestName::Tag("latest".to_owned())],
            };
            put(layout, &descriptor, &names)?;
        }
        Ok(())
    }
}

fn put(layout: &Layout, descriptor: &Value, names: &[ManifestName]) -> Result<(), Error> {
    layout.commit(descriptor, names).map_err(|error| {
        let text = format!("cannot write the index of an OCI layout: {error}");
        Error::new(ErrorKind::Export, text).caused_by(error)
    })
}
