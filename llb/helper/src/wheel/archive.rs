//! What is in a wheel, checked before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use zip::ZipArchive;

use super::InstalledPath;
use super::entry_points::{self, EntryPoint};
use super::error::{Error, ErrorKind};
use super::name::{WheelName, normalized};
use super::record::Record;
use super::scheme::{Layout, Scheme, check_relative};

/// More than this in bytes is only unpacked from an archive of a believable size.
const ALWAYS_UNPACKED: u64 = 16 << 20;
/// How many times its own size an archive may give. Code compresses by 3 to 5, sparse tables by some tens; a bomb of
/// zeros reaches 1,032.
const BELIEVABLE_RATIO: u64 = 200;
/// The largest of the small text files that are read into memory, in bytes.
const LARGEST_TEXT: u64 = 64 << 20;

/// A wheel that is open.
pub(super) struct Archive<'n, R> {
    name: &'n WheelName,
    zip: ZipArchive<R>,
    /// Files in the order of the archive.
    files: Vec<Member>,
    /// Folders that the archive names, maybe without a file in them.
    folders: Vec<String>,
    /// `NAME-VERSION.dist-info`, as the archive has it.
    info: String,
}

/// A file of the archive.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) crc: u32,
    pub(super) executable: bool,
}

/// Where a file of the archive goes.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) member: Member,
    /// Relative to the environment.
    pub(super) path: String,
    pub(super) scheme: Scheme,
}

impl<'n, R: Read + Seek> Archive<'n, R> {
    pub(super) fn open(name: &'n WheelName, wheel: R) -> Result<Self, Error> {
        let fail = |kind| Error::new(name.as_str(), kind);
        let zip =
            ZipArchive::new(wheel).map_err(|error| fail(ErrorKind::Archive(error.to_string())))?;
        let mut archive = Self {
            name,
            zip,
            files: Vec::new(),
            folders: Vec::new(),
            info: String::new(),
        };
        archive.list().map_err(fail)?;
        archive.info = archive.find_info().map_err(fail)?;
        archive.check_version().map_err(fail)?;
        Ok(archive)
    }

    /// The folder of the distribution's metadata.
    pub(super) fn info(&self) -> &str {
        &self.info
    }

    /// The folders that the archive names, except those of `.data`.
    pub(super) fn folders(&self) -> impl Iterator<Item = &str> {
        let data = format!("{}.data", self.info.trim_end_matches(".dist-info"));
        let folders = self.folders.iter().map(String::as_str);
        folders.filter(move |folder| folder.split('/').next() != Some(data.as_str()))
    }

    /// Lists the files; refuses unsafe names, doubles and bombs.
    fn list(&mut self) -> Result<(), ErrorKind> {
        let mut names = BTreeSet::new();
        let [mut unpacked, mut packed] = [0_u64; 2];
        for index in 0..self.zip.len() {
            let file = self.zip.by_index_raw(index).map_err(archive_error)?;
            let name = file.name().map_err(archive_error)?.into_owned();
            check_relative(&name)
                .map_err(|why| ErrorKind::Escape(format!("the path {name:?} {why}")))?;
            packed = packed.saturating_add(file.compressed_size());
            if file.is_dir() {
                self.folders.push(name.trim_end_matches('/').to_owned());
                continue;
            }
            if !names.insert(name.clone()) {
                let message = format!("the path {name:?} is there twice");
                return Err(ErrorKind::Content(message));
            }
            unpacked = unpacked.saturating_add(file.size());
            self.files.push(Member {
                index,
                size: file.size(),
                crc: file.crc32(),
                executable: file.unix_mode().is_some_and(|mode| mode & 0o111 != 0),
                name,
            });
        }
        if unpacked > ALWAYS_UNPACKED && unpacked / BELIEVABLE_RATIO > packed {
            return Err(ErrorKind::Bomb(format!(
                "{packed} packed bytes would become {unpacked}, more than {BELIEVABLE_RATIO} times as many"
            )));
        }
        for name in &names {
            let mut folder = name.as_str();
            while let Some((parent, _)) = folder.rsplit_once('/') {
                if names.contains(parent) {
                    let message = format!("{parent:?} is a file and the folder of {name:?}");
                    return Err(ErrorKind::Content(message));
                }
                folder = parent;
            }
        }
        Ok(())
    }

    fn find_info(&self) -> Result<String, ErrorKind> {
        let folders = self.files.iter().filter_map(|file| {
            let (folder, _) = file.name.split_once('/')?;
            folder.strip_suffix(".dist-info")
        });
        let folders: BTreeSet<&str> = folders.collect();
        let mut folders = folders.iter();
        let (Some(folder), None) = (folders.next(), folders.next()) else {
            return Err(ErrorKind::Content(
                "expected exactly one folder NAME-VERSION.dist-info".to_owned(),
            ));
        };
        let named = folder.rsplit_once('-').map_or(*folder, |(name, _)| name);
        if normalized(named) != normalized(self.name.distribution()) {
            return Err(ErrorKind::Content(format!(
                "the file is named after {}, its content after {named}",
                self.name.distribution()
            )));
        }
        Ok(format!("{folder}.dist-info"))
    }

    fn check_version(&mut self) -> Result<(), ErrorKind> {
        let text = self.info_text("WHEEL")?;
        let text = text.ok_or_else(|| ErrorKind::Content("WHEEL is missing".to_owned()))?;
        let version = text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim()
                .eq_ignore_ascii_case("wheel-version")
                .then(|| value.trim())
        });
        match version.map(|version| version.split('.').next()) {
            Some(Some("1")) => Ok(()),
            _ => Err(ErrorKind::Content(format!(
                "the wheel's format has version {}, expected 1.x",
                version.unwrap_or("(none)")
            ))),
        }
    }

    /// A text file of the metadata folder.
    fn info_text(&mut self, file: &str) -> Result<Option<String>, ErrorKind> {
        let name = format!("{}/{file}", self.info);
        let Some(member) = self.files.iter().find(|member| member.name == name) else {
            return Ok(None);
        };
        if member.size > LARGEST_TEXT {
            let message = format!(
                "{name} has {} bytes, at most {LARGEST_TEXT} are read",
                member.size
            );
            return Err(ErrorKind::Bomb(message));
        }
        let bytes = self.read(&member.clone())?;
        let text = String::from_utf8(bytes)
            .map_err(|_| ErrorKind::Content(format!("{name} is not UTF-8")))?;
        Ok(Some(text))
    }

    /// Name and version, as the metadata writes them.
    pub(super) fn distribution(&mut self) -> Result<(String, String), ErrorKind> {
        let text = self.info_text("METADATA")?.unwrap_or_default();
        let headers = text.lines().take_while(|line| !line.is_empty());
        let headers: Vec<(&str, &str)> = headers.filter_map(|line| line.split_once(':')).collect();
        let value = |name: &str| {
            let found = headers
                .iter()
                .find(|(header, _)| header.eq_ignore_ascii_case(name));
            let missing = || ErrorKind::Content(format!("METADATA has no {name}"));
            found
                .map(|(_, value)| value.trim().to_owned())
                .ok_or_else(missing)
        };
        Ok((value("Name")?, value("Version")?))
    }

    pub(super) fn record(&mut self) -> Result<Record, ErrorKind> {
        let text = self.info_text("RECORD")?;
        let text = text.ok_or_else(|| ErrorKind::Content("RECORD is missing".to_owned()))?;
        Ok(Record::parse(&text))
    }

    /// The scripts to be made.
    pub(super) fn entry_points(&mut self) -> Result<Vec<EntryPoint>, ErrorKind> {
        let text = self.info_text("entry_points.txt")?.unwrap_or_default();
        let entries = entry_points::parse(&text).map_err(ErrorKind::Content)?;
        for entry in &entries {
            if entry.name.contains('/') || check_relative(&entry.name).is_err() {
                let message = format!("the script {:?} is no file name", entry.name);
                return Err(ErrorKind::Escape(message));
            }
        }
        Ok(entries)
    }

    /// Reads a file whole; never more than its stated size.
    pub(super) fn read(&mut self, member: &Member) -> Result<Vec<u8>, ErrorKind> {
        let mut content = Vec::new();
        self.reader(member)?
            .read_to_end(&mut content)
            .map_err(|error| damaged(member, &error))?;
        Ok(content)
    }

    /// The content of a file: its checksum is compared at the end, and more than its stated size is an error.
    pub(super) fn reader(&mut self, member: &Member) -> Result<impl Read + use<'_, R>, ErrorKind> {
        self.zip.by_index(member.index).map_err(archive_error)
    }

    /// Where each file goes, sorted by path. What `.data` has for a path comes before what the wheel has there itself.
    pub(super) fn placed(&self, layout: &Layout) -> Result<BTreeMap<String, Placed>, ErrorKind> {
        let stem = self.info.trim_end_matches(".dist-info");
        let data = format!("{stem}.data/");
        let site_packages = layout.site_packages();
        let mut placed = BTreeMap::new();
        let (of_data, own): (Vec<&Member>, Vec<&Member>) = self
            .files
            .iter()
            .partition(|member| member.name.starts_with(&data));
        for member in own {
            let path = format!("{site_packages}/{}", member.name);
            let member = member.clone();
            let (key, scheme) = (path.clone(), Scheme::Packages);
            placed.insert(
                key,
                Placed {
                    member,
                    path,
                    scheme,
                },
            );
        }
        for member in of_data {
            let below = &member.name[data.len()..];
            let (scheme, rest) = below
                .split_once('/')
                .and_then(|(name, rest)| Some((Scheme::from_name(name)?, rest)))
                .ok_or_else(|| {
                    ErrorKind::Content(format!(
                        "{:?} is in no folder that .data may have: purelib, platlib, scripts, headers, data",
                        member.name
                    ))
                })?;
            if scheme == Scheme::Scripts && rest.contains('/') {
                let message = format!("{:?} is in a folder below scripts", member.name);
                return Err(ErrorKind::Content(message));
            }
            let folder = layout.folder(scheme, self.name.distribution());
            let path = if folder.is_empty() {
                rest.to_owned()
            } else {
                format!("{folder}/{rest}")
            };
            let member = member.clone();
            placed.insert(
                path.clone(),
                Placed {
                    member,
                    path,
                    scheme,
                },
            );
        }
        Ok(placed)
    }

    pub(super) fn installed_paths(mut self, layout: &Layout) -> Result<Vec<InstalledPath>, Error> {
        let name = self.name;
        let mut list = || {
            let info = format!("{}/{}", layout.site_packages(), self.info);
            let mut paths: BTreeMap<String, Option<(u32, u64)>> = BTreeMap::new();
            for (path, placed) in self.placed(layout)? {
                let is_own = placed.scheme != Scheme::Scripts && !path.starts_with(&info);
                paths.insert(
                    path,
                    is_own.then_some((placed.member.crc, placed.member.size)),
                );
            }
            for entry in self.entry_points()? {
                paths.insert(format!("bin/{}", entry.name), None);
            }
            for file in ["INSTALLER", "REQUESTED", "RECORD"] {
                paths.insert(format!("{info}/{file}"), None);
            }
            let paths = paths.into_iter();
            Ok(paths
                .map(|(path, content)| InstalledPath { path, content })
                .collect())
        };
        list().map_err(|kind| Error::new(name.as_str(), kind))
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` takes"
)]
fn archive_error(error: zip::result::ZipError) -> ErrorKind {
    ErrorKind::Archive(error.to_string())
}

pub(super) fn damaged(member: &Member, error: &std::io::Error) -> ErrorKind {
    ErrorKind::Archive(format!("{:?}: {error}", member.name))
}
