//! Values of states.

use llb::prelude::*;
use llb::value::Platform;
use llb::{Environment, Network, Security};
use serde_json::{Value, json};

use crate::support::vectors;

fn dir(state: &State) -> Value {
    json!(state.current_dir().unwrap_or_default())
}

fn entries(environment: &Environment) -> Value {
    environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn a() -> State {
    image("a")
}

/// The words of the protocol, which calls the sandbox network unset.
fn network(state: &State) -> Value {
    json!(match state.current_network() {
        None | Some(Network::Sandbox) => "UNSET",
        Some(Network::Host) => "HOST",
        Some(Network::None) => "NONE",
    })
}

fn security(state: &State) -> Value {
    json!(match state.current_security() {
        Security::Sandbox => "SANDBOX",
        Security::Insecure => "INSECURE",
    })
}

fn platform(state: &State) -> Value {
    json!(state.current_platform().map(ToString::to_string))
}

vectors! {
    values_dir => json!({
        "zero": dir(&State::without_dir()),
        "scratch": dir(&scratch()),
        "image": dir(&a()),
        "abs": dir(&a().dir("/x/../y/")),
        "relative": dir(&a().dir("/x").dir("y/../z")),
        "empty": dir(&a().dir("/x/").dir("")),
        "zero-relative": dir(&State::without_dir().dir("r")),
        "after-run": dir(&a().dir("/x").run(shlex("t").dir("/y"))),
        "after-file": dir(&a().dir("/x").file(mkdir("d", 0o755))),
        "dirf": dir(&a().dir(format!("/{}/{}", "v", 1))),
        "percent": dir(&a().dir("/foo%d")),
        "with-output": dir(&a().dir("/x").with_output_of(&image("b").dir("/y"))),
        "image-config": dir(&a().dir("/x").with_image_config(br#"{"config":{"WorkingDir":"w"}}"#).unwrap()),
    });
    values_other => {
        let armhf = Image::new("a").platform(Platform::LINUX_ARMHF).state();
        let state = armhf.hostname("h").network(Network::None).security(Security::Insecure);
        let aarch64 = Platform::new("linux", "aarch64").with_variant("v8");
        json!({
            "hostname": state.current_hostname(),
            "network": network(&state),
            "security": security(&state),
            "platform": platform(&state),
            // Arguments are a matter of execs here; a state has none to ask for.
            "args": null,
            "default-hostname": a().current_hostname().unwrap_or_default(),
            "default-network": network(&a()),
            "default-security": security(&a()),
            "default-platform-is-nil": platform(&a()).is_null(),
            "platform-after-run-override": platform(&a().run(shlex("x").platform(aarch64))),
            "custom-value": a().with_value(7).dir("/x").value::<i32>(),
            "missing-value": a().value::<i32>(),
        })
    };
    values_env => {
        let state = a().env("A", "1").env("B", "2").env("A", "3").env("F", format!("{}%", 5)).env("P", "%d");
        let environment = state.environment();
        let get = |name| json!([environment.get(name).unwrap_or_default(), environment.get(name).is_some()]);
        json!({
            "keys": environment.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "array": entries(environment),
            "A": get("A"),
            "X": get("X"),
            "GetEnv-B": get("B"),
            "zero": entries(State::without_dir().environment()),
        })
    };
    values_envlist => {
        let with = |environment: &Environment, name: &str, value: &str| {
            let mut changed = environment.clone();
            changed.set(name, value);
            changed
        };
        let without = |environment: &Environment, name: &str| {
            let mut changed = environment.clone();
            changed.remove(name);
            changed
        };
        let with_default = |environment: &Environment, name: &str, value: &str| match environment.get(name) {
            Some(_) => environment.clone(),
            None => with(environment, name, value),
        };
        let base = [("A", "1"), ("B", "2"), ("C", "3")]
            .iter()
            .fold(Environment::default(), |environment, (name, value)| with(&environment, name, value));
        let deleted = without(&base, "B");
        let again = with(&deleted, "B", "4");
        json!({
            "base": entries(&base),
            "deleted": entries(&deleted),
            "added-again": entries(&again),
            "defaults": entries(&with_default(&with_default(&base, "A", "x"), "D", "5")),
            "two-deleted": entries(&without(&again, "A")),
            "delete-missing": entries(&without(&base, "Z")),
        })
    };

    state_reset => {
        let other = image("other").env("O", "1").dir("/other").user("u").platform(&Platform::LINUX_ARM64);
        image("self").env("S", "1").dir("/self").reset(&other).run(shlex("x"))
    };
    state_reset_with_platform => {
        let other = image("other").env("O", "1").dir("/other");
        let own = Image::new("self").platform(Platform::LINUX_S390X).state().env("S", "1").dir("/self");
        own.reset(&other).run(shlex("x"))
    };
    state_with => {
        a().with(|state| state.dir("/a"))
            .with(|state| state.env("A", "1"))
            .with(|state| state.user("u"))
            .with(|state| state.dir("b"))
            .with(|state| state.run(shlex("mid")))
            .with(|state| state.network(Network::Host))
            .run(shlex("x"))
    };
    state_with_output => {
        a().env("A", "1").dir("/a").with_output_of(&image("b").env("B", "1")).run(shlex("x"))
    };
    state_new_state => {
        let old = Image::new("a").platform(Platform::LINUX_ARM64).state().env("A", "1").dir("/x");
        scratch().with_output_of(&old).run(shlex("x"))
    };
}
