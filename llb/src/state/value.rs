//! The values of a state: run context and image config.

use std::any::{Any, TypeId};
use std::net::IpAddr;
use std::sync::Arc;

use smol_str::SmolStr;

use super::State;
use super::context::{Context, Environment, Network, Security, Ulimit};
use crate::error::Problem;
use crate::state::image_config::{Healthcheck, ImageConfig};
use crate::value::host;
use crate::value::platform::Platform;
use crate::value::shared::Shared;

/// The `PATH` of execs on Linux images that set none.
pub(super) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// # Environment
impl State {
    /// Sets an environment variable for later execs and in the image, as `ENV` in a Dockerfile does.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("debian").env("LANG", "C.UTF-8");
    /// assert_eq!(state.environment().get("LANG"), Some("C.UTF-8"));
    /// assert_eq!(state.image_config().env["LANG"], "C.UTF-8");
    /// ```
    pub fn env(&self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        self.image_env(name, value).build_env(name, value)
    }

    /// Sets an environment variable for later execs only; the image does not get it.
    pub fn build_env(&self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let (name, value) = (SmolStr::new(name.as_ref()), SmolStr::new(value.as_ref()));
        self.context(move |context| context.env.set(name, value))
    }

    /// Sets an environment variable in the image only; later execs do not see it.
    pub fn image_env(&self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.configure(move |config| {
            config.env.insert(name, value);
        })
    }

    /// Removes an environment variable from later execs and from the image.
    pub fn unset_env(&self, name: &str) -> Self {
        let (own, name) = (SmolStr::new(name), SmolStr::new(name));
        self.context(move |context| context.env.remove(&own))
            .configure(move |config| {
                config.env.shift_remove(name.as_str());
            })
    }

    /// Puts directories before what `PATH` holds, for later execs and in the image.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("debian").env("PATH", "/usr/bin:/bin").prepend_path("/venv/bin");
    /// assert_eq!(state.environment().get("PATH"), Some("/venv/bin:/usr/bin:/bin"));
    /// ```
    ///
    /// If `PATH` is not set, it begins with the default that BuildKit gives to Linux images.
    pub fn prepend_path(&self, directory: &str) -> Self {
        let directory = SmolStr::new(directory);
        self.update(move |state| {
            let path = format!("{directory}:{}", state.search_path());
            *state = state.env("PATH", path);
        })
    }

    /// Puts directories behind what `PATH` holds, for later execs and in the image.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("debian").env("PATH", "/usr/bin:/bin").append_path("/opt/tool/bin");
    /// assert_eq!(state.environment().get("PATH"), Some("/usr/bin:/bin:/opt/tool/bin"));
    /// ```
    ///
    /// If `PATH` is not set, it begins with the default that BuildKit gives to Linux images.
    pub fn append_path(&self, directory: &str) -> Self {
        let directory = SmolStr::new(directory);
        self.update(move |state| {
            let path = format!("{}:{directory}", state.search_path());
            *state = state.env("PATH", path);
        })
    }

    fn search_path(&self) -> &str {
        self.environment()
            .get("PATH")
            .filter(|path| !path.is_empty())
            .unwrap_or(DEFAULT_PATH)
    }

    /// The environment of later execs.
    pub fn environment(&self) -> &Environment {
        &self.context.env
    }
}

/// # Run context: what later execs take over
///
/// ```
/// use llb::prelude::*;
/// use llb::Security;
/// use llb::value::Platform;
///
/// let state = image("debian")
///     .build_env("A", "1")
///     .dir("/src")
///     .user("app")
///     .hostname("builder")
///     .network(Network::Host)
///     .security(Security::Insecure)
///     .extra_host("db", [10, 0, 0, 1])
///     .ulimit("core", 0, 0)
///     .cgroup_parent("/builds")
///     .platform(&Platform::LINUX_ARM64);
/// assert_eq!(state.current_dir(), Some("/src"));
/// assert_eq!(state.current_network(), Some(Network::Host));
/// assert_eq!(state.run(sh("make")).to_text(), r#"
/// platform linux/amd64
/// %debian = source "docker-image://docker.io/library/debian:latest"
/// %make = exec "/bin/sh" "-c" "make" cwd=/src user=app hostname=builder cgroup-parent=/builds network=host security=insecure platform=linux/arm64 {
///   env A="1"
///   host db=10.0.0.1
///   ulimit core=0:0
///   / = %debian -> out0
/// }
/// return %make
/// "#.trim_start());
/// ```
impl State {
    /// Changes the working directory of later execs and of relative paths in file actions.
    ///
    /// An absolute path is kept as given, a relative one is joined to the current directory. The image's own working
    /// directory is another thing: see [`workdir`](Self::workdir).
    pub fn dir(&self, path: impl AsRef<str>) -> Self {
        let path = SmolStr::new(path.as_ref());
        self.context(move |context| context.change_dir(&path))
    }

    /// The user of later execs: a name or an id, with an optional group behind `:`.
    pub fn user(&self, user: impl AsRef<str>) -> Self {
        let user = SmolStr::new(user.as_ref());
        self.context(move |context| context.user = Some(user))
    }

    /// The host name that later execs see.
    pub fn hostname(&self, name: impl AsRef<str>) -> Self {
        let name = SmolStr::new(name.as_ref());
        self.context(move |context| context.hostname = Some(name))
    }

    /// The cgroup under which later execs run.
    pub fn cgroup_parent(&self, parent: impl AsRef<str>) -> Self {
        let parent = SmolStr::new(parent.as_ref());
        self.context(move |context| context.cgroup_parent = Some(parent))
    }

    /// The network of later execs.
    pub fn network(&self, network: Network) -> Self {
        self.context(move |context| context.network = Some(network))
    }

    /// The security mode of later execs.
    pub fn security(&self, security: Security) -> Self {
        self.context(move |context| context.security = Some(security))
    }

    /// Adds a line to `/etc/hosts` of later execs.
    pub fn extra_host(&self, host: impl AsRef<str>, address: impl Into<IpAddr>) -> Self {
        let line = (
            SmolStr::new(host.as_ref()),
            SmolStr::from(host::address_text(address.into())),
        );
        self.context(move |context| context.extra_hosts.push(line))
    }

    /// Limits a resource of later execs: its name without `RLIMIT_` in lower case, soft and hard limit; `-1` is
    /// unlimited.
    pub fn ulimit(&self, name: impl AsRef<str>, soft: i64, hard: i64) -> Self {
        let ulimit = Ulimit {
            name: name.as_ref().into(),
            soft,
            hard,
        };
        self.context(move |context| context.ulimits.push(ulimit))
    }

    /// The platform of later execs, normalized.
    pub fn platform(&self, platform: &Platform) -> Self {
        let platform = platform.clone();
        self.context(move |context| context.adopt_platform(Some(&platform)))
    }

    /// Takes the platform from later execs: they run for the one that the graph is marshalled for.
    pub fn unset_platform(&self) -> Self {
        self.context(|context| context.platform = None)
    }

    /// The working directory of later execs; none in a state made without one.
    pub fn current_dir(&self) -> Option<&str> {
        self.context.dir.as_deref()
    }

    /// The user of later execs, if one was set.
    pub fn current_user(&self) -> Option<&str> {
        self.context.user.as_deref()
    }

    /// The host name of later execs, if one was set.
    pub fn current_hostname(&self) -> Option<&str> {
        self.context.hostname.as_deref()
    }

    /// The network of later execs, if one was set.
    pub fn current_network(&self) -> Option<Network> {
        self.context.network
    }

    /// The security mode of later execs.
    pub fn current_security(&self) -> Security {
        self.context.security.unwrap_or_default()
    }

    /// The platform of later execs, if the state has one of its own.
    pub fn current_platform(&self) -> Option<&Platform> {
        self.context.platform.as_deref()
    }

    pub(crate) fn context(
        &self,
        change: impl FnOnce(&mut Context) + Clone + Send + Sync + 'static,
    ) -> Self {
        self.update(move |state| change(state.context.make_mut()))
    }

    /// Changes the values of a state; those of a deferred one once it is resolved.
    fn update(&self, change: impl FnOnce(&mut Self) + Clone + Send + Sync + 'static) -> Self {
        let mut state = self.clone();
        if !self.is_deferred() {
            change(&mut state);
            return state;
        }
        // What is known is changed now, for accessors.
        state.output = None;
        change.clone()(&mut state);
        state.once_resolved(vec![self.clone()], move |states| {
            let mut state = states[0].clone();
            change.clone()(&mut state);
            state
        })
    }
}

/// # Values of your own
impl State {
    /// Carries a value along, to be found again by its type: `WithValue` of `client/llb`.
    ///
    /// It is handed on like the rest of the run context, and enters no op. A later value of the same type hides it.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// struct PythonVersion(&'static str);
    ///
    /// fn pip(state: State, package: &str) -> State {
    ///     let version = state.value::<PythonVersion>().map_or("3", |version| version.0);
    ///     state.run(args([&format!("pip{version}"), "install", package]))
    /// }
    /// let state = pip(image("debian").with_value(PythonVersion("3.12")).mkdir("/src", 0o755), "numpy");
    /// assert!(state.to_text().contains("pip3.12"));
    /// ```
    pub fn with_value<T: Any + Send + Sync>(&self, value: T) -> Self {
        let value: Arc<dyn Any + Send + Sync> = Arc::new(value);
        self.context(move |context| {
            let values = context.values.get_or_insert_default();
            Arc::make_mut(values).insert(TypeId::of::<T>(), value);
        })
    }

    /// The value of this type that the state carries along.
    pub fn value<T: Any>(&self) -> Option<&T> {
        self.context
            .values
            .as_ref()?
            .get(&TypeId::of::<T>())?
            .downcast_ref()
    }
}

/// # Image config: what a container started from the image takes over
///
/// No op runs again because of it, and no digest changes.
///
/// ```
/// use llb::prelude::*;
/// use llb::Healthcheck;
/// use llb::value::Platform;
///
/// let check = Healthcheck {
///     test: vec!["CMD".into(), "app".into(), "check".into()],
///     interval: 5_000_000_000,
///     ..Healthcheck::default()
/// };
/// let state = image("debian")
///     .entrypoint(["app"])
///     .cmd(["serve"])
///     .workdir("/srv")
///     .image_user("app")
///     .label("version", "1")
///     .expose("8080")
///     .volume("/data")
///     .stop_signal("SIGINT")
///     .image_env("MODE", "prod")
///     .healthcheck(check);
/// assert_eq!(
///     String::from_utf8(state.image_config().to_json(&Platform::LINUX_AMD64))?,
///     [
///         r#"{"architecture":"amd64","os":"linux","config":{"User":"app","ExposedPorts":{"8080/tcp":{}},"#,
///         r#""Env":["MODE=prod"],"Entrypoint":["app"],"Cmd":["serve"],"Volumes":{"/data":{}},"WorkingDir":"/srv","#,
///         r#""Labels":{"version":"1"},"StopSignal":"SIGINT","#,
///         r#""Healthcheck":{"Test":["CMD","app","check"],"Interval":5000000000}}}"#,
///     ]
///     .concat()
/// );
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
impl State {
    /// Takes over the config of an image (OCI image config JSON), as `FROM` in a Dockerfile does.
    ///
    /// Later execs get its environment, its working directory and its platform, the image gets all of it; fields that
    /// this crate does not know are kept as they are. Later execs run as root all the same, as in `client/llb`: see
    /// [`adopt_image_user`](Self::adopt_image_user). Layers and date are left to the exporter.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let base = image("debian").with_image_config(br#"{"config":{"Env":["A=1"],"WorkingDir":"/src"}}"#)?;
    /// assert_eq!(base.environment().get("A"), Some("1"));
    /// assert_eq!(base.current_dir(), Some("/src"));
    /// # Ok::<(), llb::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The text is no image config.
    #[track_caller]
    pub fn with_image_config(&self, json: &[u8]) -> Result<Self, crate::Error> {
        let config = ImageConfig::from_json(json)?;
        let config = Shared::from(config);
        Ok(self.update(move |state| {
            let context = state.context.make_mut();
            for (name, value) in &config.env {
                if !name.is_empty() {
                    context.env.set(name.as_str(), value.as_str());
                }
            }
            context.change_dir(config.workdir.as_deref().unwrap_or_default());
            context.adopt_platform(config.platform().as_ref());
            state.image_config = config;
        }))
    }

    /// Runs later execs as the user of the image config, as `RUN` in a Dockerfile does after a `USER` of the base image.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let base = image("debian").with_image_config(br#"{"config":{"User":"app:staff"}}"#)?;
    /// assert_eq!(base.current_user(), None);
    /// assert_eq!(base.adopt_image_user().current_user(), Some("app:staff"));
    /// # Ok::<(), llb::Error>(())
    /// ```
    ///
    /// Nothing changes if the config names no user.
    pub fn adopt_image_user(&self) -> Self {
        self.update(|state| {
            if let Some(user) = &state.image_config.user {
                let user = SmolStr::new(user);
                state.context.make_mut().user = Some(user);
            }
        })
    }

    /// The config of the image that this state would be exported as.
    pub fn image_config(&self) -> &ImageConfig {
        &self.image_config
    }

    /// The image's entrypoint; it clears an inherited command, as in a Dockerfile.
    pub fn entrypoint<S: Into<String>>(&self, entrypoint: impl IntoIterator<Item = S>) -> Self {
        let entrypoint: Vec<String> = entrypoint.into_iter().map(Into::into).collect();
        self.configure(move |config| config.set_entrypoint(entrypoint))
    }

    /// The image's command, or the default arguments of its entrypoint.
    pub fn cmd<S: Into<String>>(&self, cmd: impl IntoIterator<Item = S>) -> Self {
        let cmd: Vec<String> = cmd.into_iter().map(Into::into).collect();
        self.configure(move |config| config.set_cmd(cmd))
    }

    /// The image's working directory. It changes nothing for later execs: see [`dir`](Self::dir).
    pub fn workdir(&self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.configure(move |config| config.workdir = Some(path))
    }

    /// The user that the image runs as. It changes nothing for later execs: see [`user`](Self::user).
    pub fn image_user(&self, user: impl Into<String>) -> Self {
        let user = user.into();
        self.configure(move |config| config.user = Some(user))
    }

    /// Adds a label to the image.
    pub fn label(&self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.configure(move |config| {
            config.labels.insert(name, value);
        })
    }

    /// Declares a port that the image listens on, such as `5000/tcp`; the protocol is `tcp` if not given.
    pub fn expose(&self, port: impl AsRef<str>) -> Self {
        let port = port.as_ref();
        let port = if port.contains('/') {
            port.to_owned()
        } else {
            format!("{port}/tcp")
        };
        self.configure(move |config| {
            config.exposed_ports.insert(port);
        })
    }

    /// Declares a volume of the image.
    pub fn volume(&self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.configure(move |config| {
            config.volumes.insert(path);
        })
    }

    /// The signal that stops the image, such as `SIGTERM`.
    pub fn stop_signal(&self, signal: impl Into<String>) -> Self {
        let signal = signal.into();
        self.configure(move |config| config.stop_signal = Some(signal))
    }

    /// How a container of the image is checked.
    pub fn healthcheck(&self, healthcheck: Healthcheck) -> Self {
        self.configure(move |config| config.healthcheck = Some(healthcheck))
    }

    pub(crate) fn configure(
        &self,
        change: impl FnOnce(&mut ImageConfig) + Clone + Send + Sync + 'static,
    ) -> Self {
        self.update(move |state| change(state.image_config.make_mut()))
    }

    pub(crate) fn record(mut self, mut problem: Problem) -> Self {
        problem.set_frame(self.context.frame.as_ref());
        Arc::make_mut(self.problems.get_or_insert_default()).push(problem);
        self
    }
}
