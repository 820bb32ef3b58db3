//! The config of an image: what a container started from it takes over.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::LazyLock;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Problem};
use crate::value::Platform;
use crate::value::shared::Usual;

/// An OCI image config, without the parts that the exporter fills in.
///
/// Fields that have no name here are kept as they were read, so that nothing a base image says is lost.
///
/// ```
/// use llb::prelude::*;
/// use llb::value::Platform;
///
/// let state = image("debian").env("LANG", "C.UTF-8").cmd(["bash"]);
/// let json = state.image_config().to_json(&Platform::LINUX_AMD64);
/// assert_eq!(
///     String::from_utf8(json)?,
///     r#"{"architecture":"amd64","os":"linux","config":{"Env":["LANG=C.UTF-8"],"Cmd":["bash"]}}"#
/// );
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ImageConfig {
    /// Environment variables, in order.
    pub env: IndexMap<String, String>,
    /// Labels, in order.
    pub labels: IndexMap<String, String>,
    /// Ports with their protocol: `5000/tcp`.
    pub exposed_ports: BTreeSet<String>,
    /// Paths of volumes.
    pub volumes: BTreeSet<String>,
    /// The command that always runs.
    pub entrypoint: Option<Vec<String>>,
    /// The command, or the default arguments of the entrypoint.
    pub cmd: Option<Vec<String>>,
    /// The working directory.
    pub workdir: Option<String>,
    /// A user name or id, with an optional group behind `:`.
    pub user: Option<String>,
    /// The signal that stops a container.
    pub stop_signal: Option<String>,
    /// How a container is checked.
    pub healthcheck: Option<Healthcheck>,
    /// The shell of `RUN` lines in a Dockerfile that builds on the image.
    pub shell: Option<Vec<String>>,
    /// Everything else under `config`, as it was read.
    pub(super) other_config: Map<String, Value>,
    /// Everything else at the top, as it was read: history, platform, author...
    pub(super) other: Map<String, Value>,
}

/// How a container is checked (`Healthcheck` of Docker's image config).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Healthcheck {
    /// `["CMD", ...]`, `["CMD-SHELL", "..."]`, or `["NONE"]` for no check.
    pub test: Vec<String>,
    /// Nanoseconds between two checks; the engine's default if 0.
    pub interval: i64,
    /// Nanoseconds after which a check has failed; the engine's default if 0.
    pub timeout: i64,
    /// Nanoseconds in which failures do not count; the engine's default if 0.
    pub start_period: i64,
    /// Nanoseconds between two checks in the start period; the engine's default if 0.
    pub start_interval: i64,
    /// Failures in a row that make a container unhealthy; the engine's default if 0.
    pub retries: i64,
}

/// The config of a state that has none yet.
impl Usual for ImageConfig {
    fn usual() -> &'static Self {
        static EMPTY: LazyLock<ImageConfig> = LazyLock::new(ImageConfig::default);
        &EMPTY
    }
}

impl ImageConfig {
    const TOP_FIELDS: &'static [&'static str] = &[
        "architecture",
        "os",
        "variant",
        "os.version",
        "os.features",
        "config",
        "rootfs",
    ];

    const CONFIG_FIELDS: &'static [&'static str] = &[
        "Env",
        "Labels",
        "ExposedPorts",
        "Volumes",
        "Entrypoint",
        "Cmd",
        "WorkingDir",
        "User",
        "StopSignal",
        "Healthcheck",
        "Shell",
    ];

    /// Reads OCI image config JSON.
    ///
    /// Names of fields count in any case, as Go reads them. A variable that is set twice has its later value and place.
    ///
    /// # Errors
    ///
    /// The text is no JSON, or a field has another type than the OCI image specification gives it.
    #[track_caller]
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let location = Location::caller();
        let problem = |message: String| Problem::at(ErrorKind::ImageConfig, message, location);
        let fail = |message: String| Error::new(vec![problem(message)]);
        let Value::Object(mut other) = serde_json::from_slice(json)
            .map_err(|error| fail(format!("image config is not JSON: {error}")))?
        else {
            return Err(fail("image config is not a JSON object".into()));
        };
        spell(&mut other, Self::TOP_FIELDS);
        let mut fields = match other.shift_remove("config") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(fields)) => fields,
            Some(value) => {
                return Err(fail(format!(
                    "image config: `config` is {}, expected an object",
                    kind(&value)
                )));
            }
        };
        // The exporter knows the layers and the date; those of the base would be wrong.
        other.shift_remove("rootfs");
        other.shift_remove("created");
        spell(&mut fields, Self::CONFIG_FIELDS);
        let mut reader = Reader {
            fields: &mut fields,
            wrong: wrong_platform_fields(&other),
        };
        let config = Self {
            env: reader.env(),
            labels: reader.texts("Labels"),
            exposed_ports: reader.keys("ExposedPorts"),
            volumes: reader.keys("Volumes"),
            entrypoint: reader.list("Entrypoint"),
            cmd: reader.list("Cmd"),
            workdir: reader.text("WorkingDir"),
            user: reader.text("User"),
            stop_signal: reader.text("StopSignal"),
            healthcheck: reader.healthcheck(),
            shell: reader.list("Shell"),
            other_config: Map::new(),
            other,
        };
        match reader.wrong {
            wrong if wrong.is_empty() => Ok(Self {
                other_config: fields,
                ..config
            }),
            wrong => Err(Error::new(wrong.into_iter().map(problem).collect())),
        }
    }

    /// OCI image config JSON for a platform, as exporters take it (`containerimage.config`).
    pub fn to_json(&self, platform: &Platform) -> Vec<u8> {
        let mut top = Map::new();
        let mut set = |name: &str, value: &str| {
            if !value.is_empty() {
                top.insert(name.into(), value.into());
            }
        };
        set("architecture", &platform.architecture);
        set("os", &platform.os);
        set("variant", &platform.variant);
        set("os.version", &platform.os_version);
        if !platform.os_features.is_empty() {
            top.insert("os.features".into(), json!(platform.os_features));
        }
        top.insert("config".into(), Value::Object(self.config_fields()));
        for (name, value) in &self.other {
            top.entry(name.clone()).or_insert_with(|| value.clone());
        }
        serde_json::to_vec(&top).expect("maps with text keys can be written as JSON")
    }

    /// The platform that the config was read with, if it names both system and architecture.
    pub fn platform(&self) -> Option<Platform> {
        let text = |name: &str| {
            self.other
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (os, architecture) = (text("os"), text("architecture"));
        if os.is_empty() || architecture.is_empty() {
            return None;
        }
        let features = self.other.get("os.features").and_then(text_list);
        Some(Platform {
            os: os.into(),
            architecture: architecture.into(),
            variant: text("variant").into(),
            os_version: text("os.version").into(),
            os_features: features
                .unwrap_or_default()
                .into_iter()
                .map(Into::into)
                .collect(),
        })
    }

    /// Sets the entrypoint and clears the command, which belonged to the old one.
    pub(crate) fn set_entrypoint(&mut self, entrypoint: Vec<String>) {
        self.entrypoint = Some(entrypoint);
        self.cmd = None;
        self.other_config.shift_remove("ArgsEscaped");
    }

    pub(crate) fn set_cmd(&mut self, cmd: Vec<String>) {
        self.cmd = Some(cmd);
        self.other_config.shift_remove("ArgsEscaped");
    }

    fn config_fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.into(), value);
            }
        };
        let keys = |keys: &BTreeSet<String>| {
            let entries: Map<String, Value> =
                keys.iter().map(|key| (key.clone(), json!({}))).collect();
            (!entries.is_empty()).then_some(Value::Object(entries))
        };
        let env: Vec<String> = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        set("User", self.user.as_ref().map(|user| json!(user)));
        set("ExposedPorts", keys(&self.exposed_ports));
        set("Env", (!env.is_empty()).then(|| json!(env)));
        set(
            "Entrypoint",
            self.entrypoint.as_ref().map(|entrypoint| json!(entrypoint)),
        );
        set("Cmd", self.cmd.as_ref().map(|cmd| json!(cmd)));
        set("Volumes", keys(&self.volumes));
        set(
            "WorkingDir",
            self.workdir.as_ref().map(|workdir| json!(workdir)),
        );
        set(
            "Labels",
            (!self.labels.is_empty()).then(|| json!(self.labels)),
        );
        set(
            "StopSignal",
            self.stop_signal.as_ref().map(|signal| json!(signal)),
        );
        set(
            "Healthcheck",
            self.healthcheck.as_ref().map(Healthcheck::to_value),
        );
        set("Shell", self.shell.as_ref().map(|shell| json!(shell)));
        for (name, value) in &self.other_config {
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
        fields
    }
}

impl Healthcheck {
    const DURATIONS: [&'static str; 5] = [
        "Interval",
        "Timeout",
        "StartPeriod",
        "StartInterval",
        "Retries",
    ];

    fn to_value(&self) -> Value {
        let mut fields = Map::new();
        if !self.test.is_empty() {
            fields.insert("Test".into(), json!(self.test));
        }
        let values = [
            self.interval,
            self.timeout,
            self.start_period,
            self.start_interval,
            self.retries,
        ];
        for (name, value) in Self::DURATIONS
            .into_iter()
            .zip(values)
            .filter(|(_, value)| *value != 0)
        {
            fields.insert(name.into(), json!(value));
        }
        Value::Object(fields)
    }
}

/// Takes known fields out of a config and notes those of a wrong type.
struct Reader<'a> {
    fields: &'a mut Map<String, Value>,
    wrong: Vec<String>,
}

impl Reader<'_> {
    fn take<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self
            .fields
            .shift_remove(name)
            .filter(|value| !value.is_null())?;
        let result = read(&value);
        if result.is_none() {
            self.wrong.push(format!(
                "image config: `config.{name}` is {}, expected {expected}",
                kind(&value)
            ));
        }
        result
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, "a text", |value| value.as_str().map(str::to_owned))
            .filter(|text| !text.is_empty())
    }

    fn list(&mut self, name: &str) -> Option<Vec<String>> {
        self.take(name, "a list of texts", text_list)
    }

    fn env(&mut self) -> IndexMap<String, String> {
        let mut env = IndexMap::new();
        for text in self.list("Env").unwrap_or_default() {
            let (name, value) = split_assignment(text);
            env.shift_remove(&name);
            env.insert(name, value);
        }
        env
    }

    fn texts(&mut self, name: &str) -> IndexMap<String, String> {
        let read = |value: &Value| {
            let text = |(name, value): (&String, &Value)| Some((name.clone(), text(value)?));
            value.as_object()?.iter().map(text).collect()
        };
        self.take(name, "an object of texts", read)
            .unwrap_or_default()
    }

    fn keys(&mut self, name: &str) -> BTreeSet<String> {
        let read = |value: &Value| {
            let is_empty = |value: &Value| value.is_null() || value.is_object();
            let fields = value.as_object()?;
            fields
                .values()
                .all(is_empty)
                .then(|| fields.keys().cloned().collect())
        };
        self.take(name, "an object of empty objects", read)
            .unwrap_or_default()
    }

    fn healthcheck(&mut self) -> Option<Healthcheck> {
        self.take("Healthcheck", "a health check", |value| {
            let fields = value.as_object()?;
            let number = |name: &str| fields.get(name).map_or(Some(0), Value::as_i64);
            let test = fields
                .get("Test")
                .filter(|test| !test.is_null())
                .map_or(Some(Vec::new()), text_list)?;
            let [interval, timeout, start_period, start_interval, retries] = Healthcheck::DURATIONS;
            Some(Healthcheck {
                test,
                interval: number(interval)?,
                timeout: number(timeout)?,
                start_period: number(start_period)?,
                start_interval: number(start_interval)?,
                retries: number(retries)?,
            })
        })
    }
}

/// Gives fields that are written in another case the name that they are known by.
fn spell(fields: &mut Map<String, Value>, names: &[&str]) {
    for &name in names {
        if fields.contains_key(name) {
            continue;
        }
        let found = fields.keys().find(|key| key.eq_ignore_ascii_case(name));
        if let Some(value) = found.cloned().and_then(|key| fields.shift_remove(&key)) {
            fields.insert(name.into(), value);
        }
    }
}

fn wrong_platform_fields(fields: &Map<String, Value>) -> Vec<String> {
    let text = |value: &Value| value.is_null() || value.is_string();
    let texts = |value: &Value| value.is_null() || text_list(value).is_some();
    let wrong = |name: &str, expected: &str, is_right: &dyn Fn(&Value) -> bool| {
        let value = fields.get(name).filter(|value| !is_right(value))?;
        Some(format!(
            "image config: `{name}` is {}, expected {expected}",
            kind(value)
        ))
    };
    ["architecture", "os", "variant", "os.version"]
        .into_iter()
        .filter_map(|name| wrong(name, "a text", &text))
        .chain(wrong("os.features", "a list of texts", &texts))
        .collect()
}

/// A list of texts; a `null` in it is an empty one, as in Go.
fn text_list(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(text).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        value => value.as_str().map(str::to_owned),
    }
}

/// Splits `NAME=value` at the first `=`; a text without one is a name with an empty value.
fn split_assignment(text: String) -> (String, String) {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (text, String::new()),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(items) if !items.iter().all(Value::is_string) => {
            "a list with other things than texts"
        }
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_survive_and_layers_do_not() {
        let json = br#"{"architecture":"arm64","os":"linux","author":"me","created":"2020-01-01T00:00:00Z","rootfs":{"type":"layers","diff_ids":["x"]},
            "config":{"Env":["A=b=c","EMPTY="],"OnBuild":["RUN x"],"Labels":{"z":"1","a":"2"}},"history":[{"created_by":"x"}]}"#;
        let config = ImageConfig::from_json(json).unwrap();
        assert_eq!(config.env["A"], "b=c");
        let text = String::from_utf8(config.to_json(&Platform::LINUX_ARM64)).unwrap();
        assert_eq!(
            text,
            r#"{"architecture":"arm64","os":"linux","config":{"Env":["A=b=c","EMPTY="],"Labels":{"z":"1","a":"2"},"OnBuild":["RUN x"]},"author":"me","history":[{"created_by":"x"}]}"#
        );
    }

    #[test]
    fn fields_count_in_any_case_and_variables_by_their_last_place() {
        let json = br#"{"OS":"linux","Architecture":"arm64","Config":{"env":["A=1","B=2","A=3"],"workingdir":"/w"}}"#;
        let config = ImageConfig::from_json(json).unwrap();
        assert_eq!(config.platform(), Some(Platform::LINUX_ARM64));
        let env: Vec<(&str, &str)> = config
            .env
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(env, [("B", "2"), ("A", "3")]);
        assert_eq!(config.workdir.as_deref(), Some("/w"));
    }

    #[test]
    fn all_fields_of_a_wrong_type_are_named() {
        let error =
            ImageConfig::from_json(br#"{"os":1,"config":{"Env":"A=1","Cmd":[1],"WorkingDir":{}}}"#)
                .unwrap_err();
        let places = error.problems().iter().filter_map(Problem::location);
        assert!(
            places.into_iter().all(|place| place.file() == file!()),
            "{error}"
        );
        let messages: Vec<&str> = error.problems().iter().map(Problem::message).collect();
        assert_eq!(
            messages,
            [
                "image config: `os` is a number, expected a text",
                "image config: `config.Env` is a text, expected a list of texts",
                "image config: `config.Cmd` is a list with other things than texts, expected a list of texts",
                "image config: `config.WorkingDir` is an object, expected a text",
            ]
        );
    }

    #[test]
    fn a_health_check_survives_a_round_trip() {
        let json =
            br#"{"config":{"Healthcheck":{"Test":["CMD","true"],"Interval":5,"Retries":3}}}"#;
        let config = ImageConfig::from_json(json).unwrap();
        let check = config.healthcheck.clone().unwrap();
        assert_eq!((check.interval, check.retries, check.timeout), (5, 3, 0));
        let again = ImageConfig::from_json(&config.to_json(&Platform::default())).unwrap();
        assert_eq!(again.healthcheck, config.healthcheck);
    }
}
