//! The words of a graph and the options that belong to them.
//!
//! Options are methods of the builders under their own names, so that one documentation serves both.

/// What a word takes.
pub(super) struct Word {
    pub(super) name: &'static str,
    /// Values that must be given, by name.
    pub(super) arguments: &'static [&'static str],
    /// Options without a value.
    pub(super) flags: &'static [&'static str],
    /// Options with a value.
    pub(super) keys: &'static [&'static str],
}

/// Where file systems come from.
pub(super) const SOURCES: &[Word] = &[
    Word {
        name: "image",
        arguments: &["reference"],
        flags: &["ignore_cache", "internal"],
        keys: &[
            "checksum",
            "layer_limit",
            "location",
            "name",
            "platform",
            "require",
            "resolve_mode",
        ],
    },
    Word {
        name: "local",
        arguments: &["folder"],
        flags: &["ignore_cache"],
        keys: &[
            "exclude",
            "follow_paths",
            "include",
            "local_unique_id",
            "location",
            "metadata_only",
            "name",
            "require",
            "session",
            "shared_key_hint",
        ],
    },
    Word {
        name: "git",
        arguments: &["url"],
        flags: &[
            "checkout_bundle",
            "fetch_by_commit",
            "ignore_cache",
            "keep_git_dir",
            "skip_submodules",
        ],
        keys: &[
            "auth_header_secret",
            "auth_token_secret",
            "bundle",
            "checksum",
            "fragment",
            "known_ssh_hosts",
            "location",
            "mount_ssh_sock",
            "mtime",
            "name",
            "reference",
            "require",
            "subdir",
        ],
    },
    Word {
        name: "http",
        arguments: &["url"],
        flags: &["ignore_cache"],
        keys: &[
            "accept_header",
            "auth_header_secret",
            "checksum",
            "chmod",
            "filename",
            "location",
            "name",
            "require",
            "user_agent_header",
            "verify_pgp_signature",
        ],
    },
    Word {
        name: "oci_layout",
        arguments: &["reference"],
        flags: &["ignore_cache"],
        keys: &["layer_limit", "location", "name", "platform", "require"],
    },
];

/// What is mounted into an exec.
pub(super) const MOUNTS: &[Word] = &[
    Word {
        name: "bind",
        arguments: &["target", "source"],
        flags: &["no_output", "readonly"],
        keys: &["content_cache", "selector"],
    },
    Word {
        name: "cache",
        arguments: &["target", "id"],
        flags: &["locked", "private", "shared"],
        keys: &["sharing", "source"],
    },
    Word {
        name: "device",
        arguments: &["name"],
        flags: &["optional"],
        keys: &[],
    },
    Word {
        name: "output",
        arguments: &["target"],
        flags: &[],
        keys: &["source"],
    },
    Word {
        name: "secret",
        arguments: &["target"],
        flags: &["optional"],
        keys: &["and_env", "as_env", "id"],
    },
    Word {
        name: "ssh",
        arguments: &[],
        flags: &["optional"],
        keys: &["id", "target"],
    },
    Word {
        name: "tmpfs",
        arguments: &["target"],
        flags: &[],
        keys: &["size"],
    },
];

/// Settings of an exec that have no value.
pub(super) const EXEC_FLAGS: &[&str] = &["ignore_cache", "readonly_rootfs"];

/// Settings of an exec with one value.
pub(super) const EXEC_VALUES: &[&str] = &[
    "cgroup_parent",
    "dir",
    "export_cache",
    "hostname",
    "location",
    "memory_limit",
    "mount",
    "name",
    "platform",
    "progress_group",
    "proxy",
    "require",
    "user",
    "valid_exit_codes",
];

/// File actions; their arguments have a syntax of their own.
pub(super) const ACTIONS: &[Word] = &[
    Word {
        name: "copy",
        arguments: &[],
        flags: &[
            "allow_empty_wildcard",
            "allow_wildcard",
            "always_replace_existing",
            "attempt_unpack",
            "follow_symlinks",
            "ignore_cache",
        ],
        keys: &[
            "chmod",
            "created",
            "exclude",
            "include",
            "location",
            "mode",
            "name",
            "owner",
            "required_paths",
        ],
    },
    Word {
        name: "mkdir",
        arguments: &[],
        flags: &["ignore_cache", "parents"],
        keys: &["created", "location", "mode", "name", "owner"],
    },
    Word {
        name: "mkfile",
        arguments: &[],
        flags: &["ignore_cache"],
        keys: &["created", "location", "mode", "name", "owner"],
    },
    Word {
        name: "symlink",
        arguments: &[],
        flags: &["ignore_cache"],
        keys: &["created", "location", "name", "owner"],
    },
    Word {
        name: "rm",
        arguments: &[],
        flags: &["allow_not_found", "allow_wildcard", "ignore_cache"],
        keys: &["location", "name"],
    },
];

/// Methods of a state with one value.
pub(super) const VALUES: &[&str] = &[
    "append_path",
    "cgroup_parent",
    "cmd",
    "dir",
    "entrypoint",
    "expose",
    "healthcheck",
    "hostname",
    "image_user",
    "platform",
    "prepend_path",
    "stop_signal",
    "unset_env",
    "user",
    "volume",
    "workdir",
];

/// A method that takes a variant.
pub(super) struct Choice {
    pub(super) name: &'static str,
    pub(super) enumeration: &'static str,
    /// How each variant is written in a graph and in Rust.
    pub(super) variants: &'static [(&'static str, &'static str)],
}

pub(super) const CHOICES: &[Choice] = &[
    Choice {
        name: "network",
        enumeration: "Network",
        variants: &[("host", "Host"), ("none", "None"), ("sandbox", "Sandbox")],
    },
    Choice {
        name: "security",
        enumeration: "Security",
        variants: &[("insecure", "Insecure"), ("sandbox", "Sandbox")],
    },
];

/// Methods that set an environment variable.
pub(super) const ENVS: &[&str] = &["build_env", "env", "image_env"];

/// Statements with a syntax of their own.
pub(super) const STATEMENTS: &[&str] = &[
    "exec", "file", "for", "fork", "from", "graph", "if", "label", "layer", "let", "match",
    "merge", "return", "run", "squash",
];

/// Words of Dockerfiles and of everyday speech, with what they are called here.
pub(super) const OTHER_NAMES: &[(&str, &str)] = &[
    ("add", "copy"),
    ("command", "cmd"),
    ("link", "symlink"),
    ("port", "expose"),
    ("remove", "rm"),
    ("stage", "graph"),
    ("stopsignal", "stop_signal"),
    ("write", "mkfile"),
];

pub(super) fn find(table: &'static [Word], name: &str) -> Option<&'static Word> {
    table.iter().find(|word| word.name == name)
}

/// Every word that a statement can begin with.
pub(super) fn all_statements() -> impl Iterator<Item = &'static str> {
    let actions = ACTIONS.iter().map(|word| word.name);
    let choices = CHOICES.iter().map(|choice| choice.name);
    let plain = STATEMENTS.iter().chain(VALUES).chain(ENVS).copied();
    plain.chain(actions).chain(choices)
}

/// Every word that a setting of an exec can begin with.
pub(super) fn all_settings() -> impl Iterator<Item = &'static str> {
    let mounts = MOUNTS.iter().map(|word| word.name);
    let choices = CHOICES.iter().map(|choice| choice.name);
    let plain = EXEC_FLAGS.iter().chain(EXEC_VALUES).copied();
    plain.chain(mounts).chain(choices).chain(["env"])
}
