//! Finds the daemons to test against.

use std::path::{Path, PathBuf};

use llb::client::{Address, Client};
use llb::lower::Helper;
use serde_json::Value;

/// The running testbed.
#[derive(Clone, Debug)]
pub(crate) struct Testbed(Value);

impl Testbed {
    /// The testbed named by `LLB_TESTBED`, or that of this workspace.
    pub(crate) fn find() -> Self {
        let path = std::env::var_os("LLB_TESTBED").map_or_else(
            || {
                // A package of the workspace, or one in such a package's folder.
                let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1);
                let mut states = above.map(|folder| folder.join("target/testbed/state.json"));
                states.find(|state| state.exists()).unwrap_or_default()
            },
            PathBuf::from,
        );
        let Ok(text) = std::fs::read(&path) else {
            panic!(
                "no testbed at {}: run `cargo xtask testbed up`, or set LLB_TESTBED to the \
                 state.json of one that is up",
                path.display()
            );
        };
        Self(serde_json::from_slice(&text).expect("the testbed's state is JSON"))
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        match self.0.pointer(pointer).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => panic!("the testbed's state has no {pointer}"),
        }
    }

    /// Address of an engine: `containerd` or `graphdriver`.
    pub(crate) fn address(&self, engine: &str) -> Address {
        Address::unix(self.text(&format!("/engines/{engine}/socket")))
    }

    /// Host and port of the registry.
    pub(crate) fn registry(&self) -> String {
        self.text("/registry/address")
    }
}

/// A connection to the engine with the containerd image store.
pub(crate) async fn containerd() -> Client {
    engine("containerd").await
}

/// A connection to an engine.
pub(crate) async fn engine(name: &str) -> Client {
    let address = Testbed::find().address(name);
    match Client::connect(&address).await {
        Ok(client) => client,
        Err(error) => panic!("{error}\nthe testbed is not up: run `cargo xtask testbed up`"),
    }
}

/// The helper that `cargo xtask helper` has built, or that `LLB_HELPER` names.
pub(crate) fn helper() -> Helper {
    let built =
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/helper/llb-helper-linux-amd64");
    let path = std::env::var_os("LLB_HELPER").map_or_else(built, PathBuf::from);
    match Helper::from_path(&path) {
        Ok(helper) => helper,
        Err(error) => panic!("{error}\nrun `cargo xtask helper`, or set LLB_HELPER to a helper"),
    }
}

/// A text no earlier run has used, so that no cache has it.
pub(crate) fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is past 1970");
    format!(
        "{:x}-{:x}-{}",
        now.as_nanos(),
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}
