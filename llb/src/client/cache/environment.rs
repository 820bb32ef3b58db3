//! What the environment says of caches that are services.
//!
//! The variables are those that buildx reads (`util/buildflags/cache.go`). What an attribute says comes first.

use std::collections::BTreeMap;

use super::{Error, ErrorKind};

type Attributes = BTreeMap<String, String>;

fn add(attributes: &mut Attributes, key: &str, value: Option<String>) {
    if let Some(value) = value {
        attributes.entry(key.to_owned()).or_insert(value);
    }
}

/// What GitHub Actions tells a job about its cache.
pub(super) fn add_actions(
    attributes: &mut Attributes,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), Error> {
    let is_second = match attributes.get("version") {
        Some(version) => version == "2",
        None => variable("ACTIONS_CACHE_SERVICE_V2").is_some_and(|value| {
            matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True")
        }),
    };
    let results = variable("ACTIONS_RESULTS_URL");
    if is_second {
        add(attributes, "url_v2", results.clone());
    }
    let url = variable("ACTIONS_CACHE_URL").or(results);
    add(attributes, "url", url);
    add(attributes, "token", variable("ACTIONS_RUNTIME_TOKEN"));
    let has = |key: &str| attributes.get(key).is_some_and(|value| !value.is_empty());
    let missing = match (has("url") || has("url_v2"), has("token")) {
        (true, true) => return Ok(()),
        (false, _) => "`url`, or ACTIONS_CACHE_URL or ACTIONS_RESULTS_URL in the environment",
        (_, false) => "`token`, or ACTIONS_RUNTIME_TOKEN in the environment",
    };
    Err(
        Error::new(ErrorKind::Request, format!("cache of kind `gha` lacks {missing}"))
            .hint("GitHub shows these to actions only; an action such as `crazy-max/ghaction-github-runtime` hands them on"),
    )
}

/// The keys that programs of AWS take. Somebody who gives both keys is not given the token of others.
pub(super) fn add_aws(attributes: &mut Attributes, variable: impl Fn(&str) -> Option<String>) {
    let has = |key: &str| attributes.contains_key(key);
    if has("access_key_id") && has("secret_access_key") {
        return;
    }
    let full = |name: &str| variable(name).filter(|value| !value.is_empty());
    let keys = (full("AWS_ACCESS_KEY_ID"), full("AWS_SECRET_ACCESS_KEY"));
    if let (Some(id), Some(secret)) = keys {
        add(attributes, "access_key_id", Some(id));
        add(attributes, "secret_access_key", Some(secret));
        add(attributes, "session_token", full("AWS_SESSION_TOKEN"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::CacheOption;

    #[test]
    fn the_environment_of_actions_is_handed_on() {
        let variable = |name: &str| {
            Some(match name {
                "ACTIONS_CACHE_SERVICE_V2" => "true".to_owned(),
                "ACTIONS_RESULTS_URL" => "https://results".to_owned(),
                "ACTIONS_RUNTIME_TOKEN" => "hunter2".to_owned(),
                _ => return None,
            })
        };
        let mut attributes = BTreeMap::from([("scope".to_owned(), "main".to_owned())]);
        add_actions(&mut attributes, variable).unwrap();
        let values = ["url", "url_v2", "token", "scope"].map(|key| attributes[key].as_str());
        assert_eq!(
            values,
            ["https://results", "https://results", "hunter2", "main"]
        );
        let error = add_actions(&mut BTreeMap::new(), |_| None).unwrap_err();
        assert!(error.to_string().contains("ACTIONS_CACHE_URL"), "{error}");
        let cache = CacheOption::new("gha").attribute("token", "hunter2");
        assert!(!format!("{cache:?}").contains("hunter2"));
    }

    #[test]
    fn half_a_key_is_none() {
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            let mut attributes = BTreeMap::new();
            add_aws(&mut attributes, |asked| {
                (asked == name || asked == "AWS_SESSION_TOKEN").then(|| "x".to_owned())
            });
            assert_eq!(attributes, BTreeMap::new(), "{name}");
        }
    }
}
