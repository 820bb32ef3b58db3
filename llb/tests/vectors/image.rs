//! Images, blobs and raw sources.

use llb::prelude::*;
use llb::value::Platform;
use llb::{ImageBlob, ImageRequest, OciLayoutBlob, ResolveMode, ResolvedImage, Source};

use crate::support::vectors;

fn image_with_digits(reference: &str, digit: &str, count: usize) -> State {
    image(format!("{reference}{}", digit.repeat(count)))
}

/// A resolver that finds every image with this config.
fn found(config: &str) -> impl Fn(&ImageRequest<'_>) -> Result<ResolvedImage, String> + use<> {
    let image = ResolvedImage {
        digest: format!("sha256:{}", "3".repeat(64)),
        config: config.into(),
        ..ResolvedImage::default()
    };
    move |_| Ok(image.clone())
}

vectors! {
    image_short_name => image("alpine");
    image_name_tag => image("alpine:3.20");
    image_docker_io_single => image("docker.io/alpine");
    image_registry_dot => image("ghcr.io/app");
    image_registry_port => image("registry:5000/team/app");
    image_localhost => image("localhost/app");
    image_uppercase_domain => image("MyReg/app:TAG");
    image_ipv6_registry => image("[2001:db8::1]:5000/app");
    image_digest_only => image_with_digits("alpine@sha256:", "a", 64);
    image_tag_and_digest => image_with_digits("alpine:3.20@sha256:", "b", 64);
    image_name_with_port_like_tag => image("registry:5000");
    image_err_uppercase_repo => image("Alpine");
    image_err_hex64 => image_with_digits("", "ab", 32);
    image_err_space => image("alpine:bad tag");
    image_err_empty => image("");
    image_err_short_digest => image("alpine@sha256:abc");
    image_err_digest_length => image_with_digits("alpine@sha256:", "a", 40);
    image_err_digest_algorithm => image_with_digits("alpine@md5:", "a", 32);
    image_err_digest_uppercase => image_with_digits("alpine@sha256:", "A", 64);
    image_err_too_long => image_with_digits("example.com/", "a", 256);
    image_resolve_default => Image::new("alpine").resolve_mode(ResolveMode::Default).state();
    image_resolve_pull => Image::new("alpine").resolve_mode(ResolveMode::ForcePull).state();
    image_resolve_local => Image::new("alpine").resolve_mode(ResolveMode::PreferLocal).state();
    image_layer_limit => Image::new("alpine").layer_limit(3).state();
    image_layer_limit_zero => Image::new("alpine").layer_limit(0).state();
    image_checksum => Image::new("alpine").checksum(format!("sha256:{}", "1".repeat(64))).state();
    image_internal => Image::new("alpine").internal().state();
    image_platform_override => Image::new("alpine").platform(Platform::LINUX_ARM64).state();
    image_platform_not_normalized => {
        Image::new("alpine").platform(Platform::new("Linux", "aarch64").with_variant("v8")).state()
    };
    image_platform_osversion_features => {
        let platform = Platform {
            os_version: "10.0.20348.1".into(),
            os_features: vec!["win32k".into(), "b".into(), "win32k".into()],
            ..Platform::WINDOWS
        };
        Image::new("mcr.microsoft.com/windows/nanoserver").platform(platform).state()
    };
    image_metadata_options => {
        Image::new("alpine").ignore_cache().name("[base] alpine").export_cache(true).state()
    };
    image_last_option_wins => {
        Image::new("alpine")
            .resolve_mode(ResolveMode::ForcePull)
            .resolve_mode(ResolveMode::PreferLocal)
            .layer_limit(1)
            .layer_limit(2)
            .platform(Platform::LINUX_ARM64)
            .platform(Platform::LINUX_S390X)
            .state()
    };

    image_meta_resolver => {
        let config = r#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin","EMPTY=","NOEQ","=x","A=b=c"],"WorkingDir":"/srv","User":"ignored"}}"#;
        Image::new("alpine").resolver(found(config)).state().run(shlex("env"))
    };
    image_meta_resolver_digest => {
        let config = r#"{"config":{"Env":["A=1"],"WorkingDir":"rel/dir"}}"#;
        Image::new("alpine:3.20").resolver(found(config)).pin_digest().state().run(shlex("pwd"))
    };
    image_meta_resolver_digest_already => {
        let reference = format!("alpine@sha256:{}", "4".repeat(64));
        Image::new(reference).resolver(found(r#"{"config":{}}"#)).pin_digest().state().run(shlex("pwd"))
    };
    image_meta_resolver_platform => {
        let config = r#"{"architecture":"aarch64","os":"linux","variant":"v8","config":{}}"#;
        Image::new("alpine").resolver(found(config)).state().run(shlex("uname -m"))
    };
    with_image_config => {
        let config = br#"{"architecture":"arm64","os":"linux","config":{"Env":["PATH=/new","X=y"],"WorkingDir":""}}"#;
        let state = image("alpine").env("PATH", "/old").dir("/old").with_image_config(config);
        state.map(|state| state.run(shlex("true")))
    };

    image_blob => ImageBlob::new(format!("myuser/myrepo@sha256:{}", "a".repeat(64))).state();
    image_blob_options => {
        ImageBlob::new(format!("repo@sha256:{}", "a".repeat(64))).filename("f").chmod(0o600).chown(1, 2).state()
    };
    image_blob_err_tagged => ImageBlob::new(format!("repo:tag@sha256:{}", "a".repeat(64))).state();
    image_blob_err_no_digest => ImageBlob::new("repo").state();
    oci_plain => oci_layout(format!("store/img@sha256:{}", "a".repeat(64))).state();
    oci_store => oci_layout("img:tag").store("sess", "store").state();
    oci_layer_limit => oci_layout("img").layer_limit(2).state();
    oci_blob => OciLayoutBlob::new(format!("myrepo/blob@sha256:{}", "a".repeat(64))).store("sid", "store0").state();

    scratch => State::scratch();
    raw_source => {
        Source::new("custom://thing").attr("b", "2").attr("a", "1").attr("", "nokey").attr("c", "").state()
    };
    raw_source_image_prefix => Source::new("docker-image://raw").state();
    raw_source_err_empty => Source::new("").state();
}
