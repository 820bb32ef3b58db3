//! Starts daemons that outlive the task and keep nothing of its caller open.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::http::{self, Body, Endpoint};
use super::layout::Layout;
use super::mounts::unmount_below;
use super::process::Identity;
use super::shell;
use super::tools::Tools;

/// Closes every file descriptor but the standard three before the daemon starts: a caller's pipe
/// would stay open as long as the daemon lives, and whoever reads it would wait for that.
const CLOSE_INHERITED: &str = r#"
for fd in /proc/$$/fd/*; do
    fd=${fd##*/}
    if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi
done
exec setsid "$@"
"#;

/// A daemon that was started now.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// Short name, as in `containerd`.
    pub(crate) name: &'static str,
    /// Its process.
    pub(crate) identity: Identity,
    /// Where its output goes.
    pub(crate) log: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts one of our programs in a session of its own, with its output in `log/NAME.log`.
    pub(crate) fn start(
        layout: &Layout,
        tools: &Tools,
        name: &'static str,
        program: &str,
        configure: impl FnOnce(&mut Command),
    ) -> Result<Daemon> {
        let log = layout.log(name);
        let file = shell::create_log(&log)?;
        let mut command = detached(layout, name);
        tools.set_environment(&mut command);
        command
            .arg(tools.program(program))
            .stdout(file.try_clone()?)
            .stderr(file);
        configure(&mut command);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let identity = Identity::of(child.id())
            .with_context(|| format!("{name} ended at once:\n{}", shell::tail(&log)))?;
        Ok(Daemon {
            name,
            identity,
            log,
            child,
        })
    }

    /// Waits until `GET target` is answered with 200; fails early when the daemon ends.
    pub(crate) fn wait_http(
        &mut self,
        endpoint: &Endpoint,
        target: &str,
        limit: Duration,
    ) -> Result<()> {
        self.wait(limit, || answers(endpoint, target))
    }

    /// Waits until a unix socket takes connections; fails early when the daemon ends.
    pub(crate) fn wait_socket(&mut self, socket: &Path, limit: Duration) -> Result<()> {
        self.wait(limit, || {
            std::os::unix::net::UnixStream::connect(socket).is_ok()
        })
    }

    fn wait(&mut self, limit: Duration, ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if ready() {
                return Ok(());
            }
            let ended = match self.child.try_wait() {
                Ok(ended) => ended,
                Err(error) if error.kind() == ErrorKind::Interrupted => None,
                Err(error) => return Err(error).context("cannot look after a daemon"),
            };
            let trouble = match ended {
                Some(status) => format!("ended with {status} while starting"),
                None if Instant::now() >= deadline => {
                    format!("was not ready after {} s", limit.as_secs())
                }
                None => {
                    sleep(Duration::from_millis(25));
                    continue;
                }
            };
            bail!(
                "{} {trouble}; the end of {}:\n{}",
                self.name,
                self.log.display(),
                shell::tail(&self.log)
            );
        }
    }
}

/// Takes a folder away at once and deletes it in the background: tens of thousands of small files
/// take long, and nobody needs to wait for that.
pub(crate) fn discard(layout: &Layout, folder: &Path) -> Result<()> {
    if std::fs::symlink_metadata(folder).is_err() {
        return Ok(());
    }
    unmount_below(folder)?;
    let trash = layout.trash();
    std::fs::create_dir_all(&trash)?;
    let mut name = 0;
    while trash.join(name.to_string()).exists() {
        name += 1;
    }
    std::fs::rename(folder, trash.join(name.to_string()))
        .with_context(|| format!("cannot move {} away", folder.display()))?;
    detached(layout, "trash")
        .args(["nice", "rm", "--recursive", "--force", "--one-file-system"])
        .arg(&trash)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot delete in the background")?;
    Ok(())
}

/// A command, to be completed with a program and its arguments, in a session of its own and with
/// none of our file descriptors.
fn detached(layout: &Layout, name: &str) -> Command {
    let mut command = shell::command(layout, "bash");
    command
        .args(["-c", CLOSE_INHERITED, name])
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

/// Whether `GET target` is answered with 200 now.
pub(crate) fn answers(endpoint: &Endpoint, target: &str) -> bool {
    let patience = Duration::from_secs(2);
    http::request(endpoint, "GET", target, &[], Body::Empty, patience)
        .is_ok_and(|response| response.status == 200)
}
