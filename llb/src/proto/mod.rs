//! The wire messages of BuildKit, generated from `llb/proto`.
//!
//! [`pb`] is LLB itself and always there: definitions are decoded with it. The messages and calls
//! of the daemon's services come with feature `client`. Module names follow the protobuf packages,
//! because the generated code refers to itself by them. `PROVENANCE.md` beside this file says
//! where the facts come from and how to generate again.
//!
//! These types mirror a foreign protocol and change with it; nothing else of this crate's API
//! promises to keep them.

macro_rules! generated {
    ($(#[$attribute:meta])* $name:ident, $file:literal $(, { $($inner:tt)* })?) => {
        $(#[$attribute])*
        #[allow(
            missing_docs,
            unreachable_pub,
            unused_qualifications,
            clippy::all,
            clippy::pedantic,
            reason = "generated code"
        )]
        pub mod $name {
            include!($file);
            $($($inner)*)?
        }
    };
}

generated!(
    /// LLB: ops, their metadata and definitions.
    pb,
    "pb.rs"
);

#[cfg(feature = "client")]
generated!(
    /// Typed details of build errors.
    errdefs,
    "errdefs.rs"
);

/// Content stores.
#[cfg(feature = "client")]
pub mod containerd {
    /// containerd's services.
    pub mod services {
        /// Blobs by their digest, served by a session.
        pub mod content {
            generated!(
                /// Version 1.
                v1,
                "containerd.services.content.v1.rs"
            );
        }
    }
}

/// The file transfer protocol.
#[cfg(feature = "client")]
pub mod fsutil {
    generated!(
        /// Packets and stats.
        types,
        "fsutil.types.rs"
    );
}

/// Google's common messages.
#[cfg(feature = "client")]
pub mod google {
    generated!(
        /// The error model of gRPC details.
        rpc,
        "google.rpc.rs"
    );
}

/// gRPC's own services.
#[cfg(feature = "client")]
pub mod grpc {
    /// Health checks.
    pub mod health {
        generated!(
            /// Version 1.
            v1,
            "grpc.health.v1.rs"
        );
    }
}

/// The services of BuildKit and of its clients.
#[cfg(feature = "client")]
pub mod moby {
    /// The daemon's services.
    pub mod buildkit {
        /// Secrets, served by a session.
        pub mod secrets {
            generated!(
                /// Version 1.
                v1,
                "moby.buildkit.secrets.v1.rs"
            );
        }

        generated!(
            /// The control API.
            v1,
            "moby.buildkit.v1.rs",
            {
                generated!(
                    /// Capabilities.
                    apicaps,
                    "moby.buildkit.v1.apicaps.rs"
                );
                generated!(
                    /// The gateway: what a build calls while it runs.
                    frontend,
                    "moby.buildkit.v1.frontend.rs"
                );
                generated!(
                    /// Source policies.
                    sourcepolicy,
                    "moby.buildkit.v1.sourcepolicy.rs"
                );
                generated!(
                    /// Workers.
                    types,
                    "moby.buildkit.v1.types.rs"
                );
            }
        );
    }

    /// Files and credentials, served by a session.
    pub mod filesync {
        generated!(
            /// Version 1.
            v1,
            "moby.filesync.v1.rs"
        );
    }

    /// Forwarded ssh agents, served by a session.
    pub mod sshforward {
        generated!(
            /// Version 1.
            v1,
            "moby.sshforward.v1.rs"
        );
    }

    /// Uploads, served by a session.
    pub mod upload {
        generated!(
            /// Version 1.
            v1,
            "moby.upload.v1.rs"
        );
    }
}
