//! Recorded builds, to be run again without a daemon.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use crate::gateway::transport::{Answer, ExecMessages, Method, Transport};
use crate::gateway::{Build, Given, Image, Result};
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::proto::moby::buildkit::v1::frontend::exec_message::Input;
use crate::session::{base64_decode, base64_encode};
use crate::sourcemap::CallerLocations;

const VERSION: u64 = 1;

/// All that a build function asked a daemon, and what the daemon said: made once from a real build, and then as good as
/// the daemon for the same questions.
///
/// A recording is a JSON text, to be kept beside the test. It holds the options of the build and all that was read, so
/// nothing secret should be among that.
///
/// ```no_run
/// use llb::client::{Client, Solve};
/// use llb::gateway::{Build, Image, Result};
/// use llb::testing::Recording;
///
/// async fn build(cx: &mut Build) -> Result<Image> {
///     Ok(cx.image("debian:bookworm-slim").await?.into())
/// }
///
/// # async fn example() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// // Once, with a daemon:
/// let client = Client::discover().await?;
/// let mut recording = None;
/// client
///     .build(Solve::build(), &mut (), async |cx: &mut Build| {
///         let (image, made) = Recording::record(cx, build).await?;
///         recording = Some(made);
///         Ok(image)
///     })
///     .await?;
/// std::fs::write("tests/debian.json", recording.unwrap().to_json())?;
///
/// // From then on, without one:
/// let recording = Recording::from_json(&std::fs::read_to_string("tests/debian.json")?)?;
/// let image = recording.replay(build).await.unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    options: BTreeMap<String, String>,
    session: String,
    calls: Vec<Call>,
    processes: Vec<Process>,
}

#[derive(Clone, Debug, PartialEq)]
struct Call {
    method: Method,
    question: Bytes,
    answer: std::result::Result<Bytes, Refusal>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Process {
    start: Bytes,
    messages: Vec<Bytes>,
    refusal: Option<Refusal>,
}

/// A status that can be kept.
#[derive(Clone, Debug, Default, PartialEq)]
struct Refusal {
    code: i32,
    message: String,
    details: Bytes,
}

/// A text that is no recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingError(String);

impl fmt::Display for RecordingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "this is no recording of a build: {}", self.0)
    }
}

impl std::error::Error for RecordingError {}

impl Recording {
    /// Runs a build function with a build, and records what it asks.
    ///
    /// # Errors
    ///
    /// Those of the function.
    pub async fn record<F, T>(context: &mut Build, build: F) -> Result<(Image, Self)>
    where
        F: AsyncFnOnce(&mut Build) -> Result<T>,
        T: Into<Image>,
    {
        let given = Given {
            // Lines of the function move without a change of what it asks.
            caller_locations: CallerLocations::Off,
            ..context.given().clone()
        };
        let made = Arc::new(Mutex::new(Self {
            options: given.options.clone(),
            session: given.session.clone(),
            ..Self::default()
        }));
        let transport = Arc::new(Tape {
            transport: Arc::clone(context.transport()),
            made: Arc::clone(&made),
        });
        let mut recorded = Build::start(transport, given).await?;
        let image = build(&mut recorded).await?.into();
        let made = made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok((image, made))
    }

    /// Runs a build function against the recording.
    ///
    /// # Errors
    ///
    /// Those of the function; and a question that was not asked when it was recorded.
    pub async fn replay<F, T>(&self, build: F) -> Result<Image>
    where
        F: AsyncFnOnce(&mut Build) -> Result<T>,
        T: Into<Image>,
    {
        let given = Given {
            options: self.options.clone(),
            session: self.session.clone(),
            ..Given::default()
        };
        let transport = Arc::new(Replay(Mutex::new(self.clone())));
        let mut context = Build::start(transport, given).await?;
        Ok(build(&mut context).await?.into())
    }

    /// The recording as JSON, to keep in a file.
    pub fn to_json(&self) -> String {
        let refusal = |refusal: &Refusal| {
            json!({
                "code": refusal.code,
                "message": refusal.message,
                "details": base64_encode(&refusal.details),
            })
        };
        let calls: Vec<_> = self
            .calls
            .iter()
            .map(|call| {
                let question = base64_encode(&call.question);
                match &call.answer {
                    Ok(answer) => json!({
                        "call": call.method.name(),
                        "question": question,
                        "answer": base64_encode(answer),
                    }),
                    Err(said) => json!({
                        "call": call.method.name(),
                        "question": question,
                        "refusal": refusal(said),
                    }),
                }
            })
            .collect();
        let processes: Vec<_> = self
            .processes
            .iter()
            .map(|process| {
                let messages = process
                    .messages
                    .iter()
                    .map(|message| base64_encode(message));
                json!({
                    "start": base64_encode(&process.start),
                    "messages": messages.collect::<Vec<_>>(),
                    "refusal": process.refusal.as_ref().map(refusal),
                })
            })
            .collect();
        let value = json!({
            "version": VERSION,
            "options": self.options,
            "session": self.session,
            "calls": calls,
            "processes": processes,
        });
        let mut text = serde_json::to_string_pretty(&value).expect("a JSON value can be written");
        text.push('\n');
        text
    }

    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// The text is none, or one of another version of this crate.
    pub fn from_json(text: &str) -> std::result::Result<Self, RecordingError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| RecordingError(error.to_string()))?;
        if value["version"] != VERSION {
            let found = &value["version"];
            let message = format!("its version is {found}, expected {VERSION}");
            return Err(RecordingError(message));
        }
        let options = value["options"].as_object().into_iter().flatten();
        Ok(Self {
            options: options
                .map(|(name, option)| Ok((name.clone(), text_of(option, "option")?)))
                .collect::<std::result::Result<_, _>>()?,
            session: text_of(&value["session"], "session")?,
            calls: list_of(&value["calls"], "calls")?
                .iter()
                .map(Call::read)
                .collect::<std::result::Result<_, _>>()?,
            processes: list_of(&value["processes"], "processes")?
                .iter()
                .map(Process::read)
                .collect::<std::result::Result<_, _>>()?,
        })
    }
}

fn text_of(value: &Value, what: &str) -> std::result::Result<String, RecordingError> {
    let text = value.as_str();
    text.map(str::to_owned)
        .ok_or_else(|| RecordingError(format!("`{what}` is no text")))
}

fn list_of<'v>(value: &'v Value, what: &str) -> std::result::Result<&'v [Value], RecordingError> {
    let list = value.as_array();
    list.map(Vec::as_slice)
        .ok_or_else(|| RecordingError(format!("`{what}` is no list")))
}

fn bytes_of(value: &Value, what: &str) -> std::result::Result<Bytes, RecordingError> {
    let decoded = base64_decode(&text_of(value, what)?);
    decoded
        .map(Bytes::from)
        .ok_or_else(|| RecordingError(format!("`{what}` is not base64")))
}

impl Call {
    fn read(value: &Value) -> std::result::Result<Self, RecordingError> {
        let name = text_of(&value["call"], "call")?;
        let method = Method::ALL.iter().find(|method| method.name() == name);
        let method = method.ok_or_else(|| RecordingError(format!("there is no call {name:?}")))?;
        Ok(Self {
            method: *method,
            question: bytes_of(&value["question"], "question")?,
            answer: match value.get("refusal") {
                Some(refusal) => Err(Refusal::read(refusal)?),
                None => Ok(bytes_of(&value["answer"], "answer")?),
            },
        })
    }
}

impl Process {
    fn read(value: &Value) -> std::result::Result<Self, RecordingError> {
        Ok(Self {
            start: bytes_of(&value["start"], "start")?,
            messages: list_of(&value["messages"], "messages")?
                .iter()
                .map(|message| bytes_of(message, "message"))
                .collect::<std::result::Result<_, _>>()?,
            refusal: match &value["refusal"] {
                Value::Null => None,
                refusal => Some(Refusal::read(refusal)?),
            },
        })
    }
}

impl Refusal {
    fn of(status: &Status) -> Self {
        Self {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Bytes::copy_from_slice(status.details()),
        }
    }

    fn read(value: &Value) -> std::result::Result<Self, RecordingError> {
        let code = value["code"].as_i64();
        let code = code.and_then(|code| i32::try_from(code).ok());
        Ok(Self {
            code: code.ok_or_else(|| RecordingError("`code` is no number".to_owned()))?,
            message: text_of(&value["message"], "message")?,
            details: bytes_of(&value["details"], "details")?,
        })
    }

    fn status(&self) -> Status {
        let code = Code::from_i32(self.code);
        Status::with_details(code, self.message.clone(), self.details.clone())
    }
}

/// Hands questions on and keeps the answers.
struct Tape {
    transport: Arc<dyn Transport>,
    made: Arc<Mutex<Recording>>,
}

impl Transport for Tape {
    fn call(&self, method: Method, message: Bytes) -> Answer<Bytes> {
        let (question, made) = (message.clone(), Arc::clone(&self.made));
        let answer = self.transport.call(method, message);
        Box::pin(async move {
            let answer = answer.await;
            let kept = match &answer {
                Ok(answer) => Ok(answer.clone()),
                Err(status) => Err(Refusal::of(status)),
            };
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            made.calls.push(Call {
                method,
                question,
                answer: kept,
            });
            drop(made);
            answer
        })
    }

    fn exec(&self, mut messages: mpsc::Receiver<wire::ExecMessage>) -> Answer<ExecMessages> {
        let (transport, made) = (Arc::clone(&self.transport), Arc::clone(&self.made));
        Box::pin(async move {
            let Some(first) = messages.recv().await else {
                return Err(Status::invalid_argument("a process begins with its start"));
            };
            let position = {
                let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                made.processes.push(Process {
                    start: start_of(&first),
                    ..Process::default()
                });
                made.processes.len() - 1
            };
            let (sender, receiver) = mpsc::channel(16);
            // The channel is empty and open.
            drop(sender.send(first).await);
            let forward = async move {
                while let Some(message) = messages.recv().await {
                    if sender.send(message).await.is_err() {
                        break;
                    }
                }
            };
            let forward = tokio::spawn(forward);
            let keep = move |message: &std::result::Result<wire::ExecMessage, Status>| {
                let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                let process = &mut made.processes[position];
                match message {
                    Ok(message) => process.messages.push(message.encode_to_vec().into()),
                    Err(status) => process.refusal = Some(Refusal::of(status)),
                }
            };
            match transport.exec(receiver).await {
                Ok(answers) => Ok(Box::pin(answers.map(move |message| {
                    let _ = &forward;
                    keep(&message);
                    message
                })) as ExecMessages),
                Err(status) => {
                    keep(&Err(status.clone()));
                    Err(status)
                }
            }
        })
    }
}

/// What a process is known by.
fn start_of(message: &wire::ExecMessage) -> Bytes {
    match &message.input {
        Some(Input::Init(init)) => init.encode_to_vec().into(),
        _ => Bytes::new(),
    }
}

/// Answers what was asked before.
struct Replay(Mutex<Recording>);

impl Replay {
    fn answer(&self, method: Method, message: &Bytes) -> std::result::Result<Bytes, Status> {
        let mut recording = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut same = recording
            .calls
            .iter()
            .enumerate()
            .filter(|(_, call)| call.method == method && call.question == *message)
            .map(|(position, _)| position);
        let (first, is_last) = (same.next(), same.next().is_none());
        match first {
            Some(position) => {
                let answer = recording.calls[position].answer.clone();
                // The last answer stays, for a function that asks again.
                if !is_last {
                    recording.calls.remove(position);
                }
                answer.map_err(|refusal| refusal.status())
            }
            // What only tells the daemon something has no answer to miss.
            None if matches!(method, Method::Warn | Method::ReleaseContainer) => Ok(Bytes::new()),
            None => Err(Status::not_found(format!(
                "the recording has no such `{}`: the build function asks something else now, record it again",
                method.name()
            ))),
        }
    }
}

impl Transport for Replay {
    fn call(&self, method: Method, message: Bytes) -> Answer<Bytes> {
        let answer = self.answer(method, &message);
        Box::pin(async move { answer })
    }

    fn exec(&self, mut messages: mpsc::Receiver<wire::ExecMessage>) -> Answer<ExecMessages> {
        let recording = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let processes = recording.processes.clone();
        Box::pin(async move {
            let first = messages.recv().await.unwrap_or_default();
            let start = start_of(&first);
            let found = processes.into_iter().find(|process| process.start == start);
            let process = found.ok_or_else(|| {
                Status::not_found("the recording has no such process: record it again")
            })?;
            let mut answers = Vec::new();
            for message in &process.messages {
                let message = wire::ExecMessage::decode(message.clone());
                answers.push(message.map_err(|error| Status::internal(error.to_string())));
            }
            answers.extend(process.refusal.map(|refusal| Err(refusal.status())));
            Ok(Box::pin(tokio_stream::iter(answers)) as ExecMessages)
        })
    }
}
