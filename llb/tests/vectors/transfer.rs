//! Downloads and folders of the client.

use llb::prelude::*;
use llb::{Differ, HttpSignature};

use crate::support::{marshal, options, vectors};

const FILE: &str = "https://example.com/f";

vectors! {
    http_plain => http("https://example.com/file.tgz").state();
    http_filename => http("https://example.com/file.tgz").filename("out.tgz").state();
    http_checksum => http(FILE).checksum(format!("sha256:{}", "a".repeat(64))).state();
    http_chmod => http(FILE).chmod(1 << 23 | 0o755).state();
    http_chmod_zero => http(FILE).chmod(0).state();
    http_chown => http(FILE).chown(1000, 2000).state();
    http_chown_root_group => http(FILE).chown(0, 5).state();
    http_auth_header => http(FILE).auth_header_secret("HDR").state();
    http_header => http(FILE).accept_header("application/json").user_agent_header("me/1").state();
    http_header_empty => http(FILE).accept_header("").user_agent_header("").state();
    http_signature => {
        let signature = HttpSignature { public_key: "PUB\nKEY".to_owned(), signature: "SIG".to_owned() };
        http(FILE).verify_pgp_signature(signature).state()
    };
    http_err_empty => http("").state();

    local_plain => local("context").state();
    local_session => local("context").session("sess").state();
    local_unique_on_source => local("context").local_unique_id("own").state();
    local_unique_empty => marshal(&local("context").state(), &options().local_unique_id(""));
    local_include => local("context").include(["src/**", "go.*"]).state();
    local_include_empty => local("context").include(["a"]).include::<&str>([]).state();
    local_exclude => local("context").exclude([".git", "!keep"]).state();
    local_follow => local("context").follow_paths(["a", "b/c"]).state();
    local_shared_key_hint => local("context").shared_key_hint("hint").state();
    local_differ_none_required => local("context").differ(Differ::None, true).state();
    local_differ_metadata_optional => local("context").differ(Differ::Metadata, false).state();
    local_metadata_only => local("context").metadata_only::<&str>([]).state();
    local_metadata_only_exceptions => local("context").metadata_only(["*.go", "x"]).state();
    local_json_escaping => {
        local("context")
            .include([
                "<a>&b",
                "q\"\\/",
                "tab\tnl\ncr\r",
                "\u{8}\u{c}\u{1}\u{1f}\u{7f}",
                "é€😀",
                "\u{2028}\u{2029}\u{a0}",
                "",
            ])
            .state()
    };
}
