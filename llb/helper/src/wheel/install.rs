//! Installing a wheel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::archive::{Archive, Member, damaged};
use super::error::{At, Error, ErrorKind};
use super::name::WheelName;
use super::record::{Record, RecordLine};
use super::scheme::{Layout, Scheme, relative_to};
use super::script;
use crate::strip;

/// The installer that `INSTALLER` names: the tree is the one that uv makes.
const INSTALLER: &[u8] = b"uv";

/// A folder that wheels are installed into. Its times are set when it is finished.
#[derive(Debug)]
pub struct Installation {
    root: PathBuf,
    layout: Layout,
    /// In seconds since 1970.
    epoch: i64,
    /// Every folder made or used, for its time.
    folders: BTreeSet<PathBuf>,
    /// Where wheels are from, by their file name.
    direct_urls: BTreeMap<String, String>,
    /// Whether debug information is left out.
    strips: bool,
}

impl Installation {
    /// The folder `root`, which must exist, stands for `/` while files are written: the environment gets its place below
    /// it. `epoch` is the time, in seconds since 1970, that every file and folder gets.
    pub fn new(root: impl Into<PathBuf>, layout: Layout, epoch: i64) -> Self {
        Self {
            root: root.into(),
            layout,
            epoch,
            folders: BTreeSet::new(),
            direct_urls: BTreeMap::new(),
            strips: false,
        }
    }

    /// Says where the wheel of a file name is from: JSON, as `direct_url.json` has it ([PEP 610]). Wheels of which
    /// nothing is said get no such file.
    ///
    /// [PEP 610]: https://packaging.python.org/en/latest/specifications/direct-url/
    pub fn set_direct_url(&mut self, name: impl Into<String>, json: impl Into<String>) {
        self.direct_urls.insert(name.into(), json.into());
    }

    /// Leaves out the debug information of programs and libraries, see [`strip_debug`](crate::strip::strip_debug). `RECORD`
    /// has the digests of what is left.
    pub fn strip_debug(&mut self) {
        self.strips = true;
    }

    /// Sets the times of the folders, innermost first.
    ///
    /// # Errors
    ///
    /// The folder that is not there any more.
    pub fn finish(self) -> io::Result<()> {
        for folder in self.folders.iter().rev() {
            set_time(folder, self.epoch)?;
        }
        Ok(())
    }

    /// Makes the folders above a path below the root, each open to everyone for reading.
    fn make_folders(&mut self, path: &str) -> Result<(), ErrorKind> {
        let mut folder = self.root.clone();
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let prefix = self.layout.prefix().to_owned();
        for component in prefix.split('/').chain(parent.split('/')) {
            if !component.is_empty() {
                folder.push(component);
            }
            if !self.folders.contains(&folder) {
                match fs::create_dir(&folder) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    made => made.at("create", &folder)?,
                }
                fs::set_permissions(&folder, Permissions::from_mode(0o755))
                    .at("set the mode of", &folder)?;
                self.folders.insert(folder.clone());
            }
        }
        Ok(())
    }

    fn create(&mut self, path: &str) -> Result<(PathBuf, File), ErrorKind> {
        self.make_folders(path)?;
        let prefix = self.layout.prefix().trim_matches('/');
        let target = self.root.join(prefix).join(path);
        let file = File::create(&target).at("create", &target)?;
        Ok((target, file))
    }

    fn finish_file(&self, target: &Path, executable: bool) -> Result<(), ErrorKind> {
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(target, Permissions::from_mode(mode)).at("set the mode of", target)?;
        set_time(target, self.epoch).at("set the time of", target)
    }

    /// Gives where the file is.
    fn write(
        &mut self,
        path: &str,
        content: &[u8],
        executable: bool,
    ) -> Result<PathBuf, ErrorKind> {
        let (target, mut file) = self.create(path)?;
        file.write_all(content).at("write", &target)?;
        self.finish_file(&target, executable)?;
        Ok(target)
    }

    /// Takes debug information out of a file, if that is asked for; gives its line of `RECORD` if it was changed.
    fn strip(&self, target: &Path, line: &str) -> Result<Option<RecordLine>, ErrorKind> {
        if !self.strips {
            return Ok(None);
        }
        let file = OpenOptions::new().read(true).write(true).open(target);
        let file = file.at("open", target)?;
        if !strip::strip_debug(&file).at("strip", target)? {
            return Ok(None);
        }
        RecordLine::of_file(line, &file)
            .at("read", target)
            .map(Some)
    }

    /// Gives the line of `RECORD` of a file that is not as the archive has it.
    fn unpack<R: Read + Seek>(
        &mut self,
        path: &str,
        archive: &mut Archive<'_, R>,
        member: &Member,
        line: &str,
    ) -> Result<Option<RecordLine>, ErrorKind> {
        let (target, file) = self.create(path)?;
        let mut from = archive.reader(member)?;
        let mut to = BufWriter::with_capacity(1 << 18, file);
        let mut buffer = vec![0; 1 << 17];
        loop {
            let read = from
                .read(&mut buffer)
                .map_err(|error| damaged(member, &error))?;
            if read == 0 {
                break;
            }
            to.write_all(&buffer[..read]).at("write", &target)?;
        }
        to.flush().at("write", &target)?;
        drop(to);
        let line = self.strip(&target, line)?;
        self.finish_file(&target, member.executable)?;
        Ok(line)
    }
}

/// Installs a wheel.
///
/// Modes are 755 for whatever the wheel has executable and for scripts, else 644. `RECORD` lists what is installed, sorted;
/// `INSTALLER` says `uv`. A script of the wheel that has the name of an entry point gives way to it.
///
/// # Errors
///
/// What is wrong with the wheel: nothing of it has been written then, unless what is wrong is the packed content of a
/// file. Or the path that cannot be written.
pub fn install<R: Read + Seek>(
    installation: &mut Installation,
    name: &WheelName,
    wheel: R,
) -> Result<(), Error> {
    let mut archive = Archive::open(name, wheel)?;
    put(installation, name, &mut archive).map_err(|kind| Error::new(name.as_str(), kind))
}

fn put<R: Read + Seek>(
    installation: &mut Installation,
    name: &WheelName,
    archive: &mut Archive<'_, R>,
) -> Result<(), ErrorKind> {
    let layout = installation.layout.clone();
    let site_packages = layout.site_packages();
    let interpreter = layout.interpreter();
    let listed = archive.record()?;
    let entries = archive.entry_points()?;
    let mut placed = archive.placed(&layout)?;
    let mut lines = Vec::new();

    for entry in &entries {
        placed.remove(&format!("bin/{}", entry.name));
    }
    let info = format!("{site_packages}/{}", archive.info());
    let own = ["INSTALLER", "REQUESTED", "RECORD"].map(|file| format!("{info}/{file}"));
    let [_, _, shipped] = own.each_ref().map(|path| placed.remove(path));
    let direct_url = installation.direct_urls.get(name.as_str()).cloned();
    let direct_url = direct_url.map(|json| {
        let path = format!("{info}/direct_url.json");
        placed.remove(&path);
        (path, json.into_bytes(), false)
    });
    let is_record_executable = shipped.is_some_and(|record| record.member.executable);

    let folders: Vec<String> = archive
        .folders()
        .map(|folder| format!("{site_packages}/{folder}/"))
        .collect();
    for folder in folders {
        installation.make_folders(&folder)?;
    }
    let hashes = hashes_by_name(&listed);
    // In the order of the archive: one pass over the file.
    let mut in_order: Vec<_> = placed.into_values().collect();
    in_order.sort_by_key(|placed| placed.member.index);
    for placed in &in_order {
        let member = &placed.member;
        let line = relative_to(&placed.path, &site_packages);
        if placed.scheme == Scheme::Scripts {
            let content = archive.read(member)?;
            let rewritten = script::with_interpreter(&content, &interpreter).unwrap_or(content);
            let target = installation.write(&placed.path, &rewritten, true)?;
            let stripped = installation.strip(&target, &line)?;
            if stripped.is_some() {
                installation.finish_file(&target, true)?;
            }
            lines.push(stripped.unwrap_or_else(|| RecordLine::of(line, &rewritten)));
            continue;
        }
        let changed = installation.unpack(&placed.path, archive, member, &line)?;
        if let Some((hash, size)) = hashes.get(member.name.as_str()) {
            lines.push(changed.unwrap_or_else(|| RecordLine {
                path: line,
                hash: (*hash).to_owned(),
                size: (*size).to_owned(),
            }));
        }
    }
    let launchers = entries.iter().map(|entry| {
        let text = script::launcher(entry, &interpreter).into_bytes();
        (format!("bin/{}", entry.name), text, true)
    });
    let [installer, requested, record] = own;
    let made = launchers.chain([
        (installer, INSTALLER.to_vec(), false),
        (requested, Vec::new(), false),
    ]);
    let made = made.chain(direct_url);
    for (path, content, executable) in made {
        installation.write(&path, &content, executable)?;
        lines.push(RecordLine::of(relative_to(&path, &site_packages), &content));
    }
    lines.push(RecordLine {
        path: relative_to(&record, &site_packages),
        hash: String::new(),
        size: String::new(),
    });
    lines.dedup();
    let text = Record { lines }.to_text();
    installation.write(&record, text.as_bytes(), is_record_executable)?;
    Ok(())
}

/// Digest and size by the path in the archive.
fn hashes_by_name(record: &Record) -> BTreeMap<&str, (&str, &str)> {
    let lines = record.lines.iter();
    lines
        .map(|line| (line.path.as_str(), (line.hash.as_str(), line.size.as_str())))
        .collect()
}

/// Sets the times of a file, a folder or a link, in seconds since 1970.
///
/// # Errors
///
/// What the system says.
pub fn set_time(path: &Path, epoch: i64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: epoch,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}
