//! Git repositories.

use llb::prelude::*;

use crate::support::vectors;

const BUILDKIT: &str = "https://github.com/moby/buildkit.git";

vectors! {
    git_https => git(BUILDKIT).fragment("v0.30.0").state();
    git_no_scheme => git("github.com/moby/buildkit").fragment("master").state();
    git_scheme_uppercase => git("HTTPS://GitHub.com/Moby/BuildKit.git").fragment("main").state();
    git_ssh_url => {
        git("ssh://git@git.example.com:2222/a/b.git")
            .fragment("main")
            .known_ssh_hosts("git.example.com ssh-ed25519 AAAA")
            .state()
    };
    git_scp => {
        git("git@github.com:moby/buildkit.git")
            .fragment("main")
            .known_ssh_hosts("github.com ssh-ed25519 AAAA\n")
            .state()
    };
    git_ssh_known_hosts_accumulate => {
        git("git@github.com:moby/buildkit.git")
            .known_ssh_hosts("h1 k1")
            .known_ssh_hosts("h2 k2\n")
            .mount_ssh_sock("mykey")
            .state()
    };
    // The Go client asks the host for its keys and leaves them out when that fails; nobody is asked here.
    git_ssh_keyscan_fails => git("ssh://git@127.0.0.1:1/a/b.git").fragment("main").state();
    git_https_known_hosts_ignored => {
        git(BUILDKIT).fragment("main").known_ssh_hosts("h k").mount_ssh_sock("id").state()
    };
    git_userinfo => git("https://user:pa%20ss@git.example.com/a/b.git").fragment("main").state();
    git_url_fragment_dropped => git("https://github.com/moby/buildkit.git?ref=x#main:sub").fragment("").state();
    git_escaped_path => git("https://git.example.com/a%20b/c%2Fd.git").fragment("main").state();
    git_path_cleaned => git("https://git.example.com//a/./b/../c.git/").fragment("main").state();
    git_subdir_fragment => git(BUILDKIT).fragment("main:docs/dev").state();
    git_subdir_only => git(BUILDKIT).fragment(":/docs/../src/").state();
    git_fragment_colon_only => git(BUILDKIT).fragment("main:").state();
    git_ref_subdir_options => git(BUILDKIT).reference("refs/tags/v1").subdir("/docs/../x/").state();
    git_options_override_fragment => git(BUILDKIT).fragment("main:docs").reference("v2").state();
    git_keep_git_dir => git(BUILDKIT).fragment("main").keep_git_dir().state();
    git_auth_token_secret => git(BUILDKIT).fragment("main").auth_token_secret("MY_TOKEN").state();
    git_auth_header_secret => git(BUILDKIT).fragment("main").auth_header_secret("MY_HEADER").state();
    git_auth_empty => git(BUILDKIT).fragment("main").auth_token_secret("").auth_header_secret("").state();
    git_checksum => git(BUILDKIT).fragment("main").checksum("1".repeat(40)).state();
    git_skip_submodules => git(BUILDKIT).fragment("main").skip_submodules().state();
    git_mtime_commit => git(BUILDKIT).fragment("main").mtime("commit").state();
    git_fetch_by_commit => git(BUILDKIT).fragment("main").checksum("2".repeat(40)).fetch_by_commit().state();
    git_bundle => {
        git(BUILDKIT)
            .checksum("1".repeat(40))
            .bundle(format!("docker-image+blob://example.com/repo@sha256:{}", "a".repeat(64)))
            .state()
    };
    git_bundle_oci => {
        git(BUILDKIT)
            .bundle(format!("oci-layout+blob://x/y@sha256:{}", "a".repeat(64)))
            .bundle_store("sess1", "store1")
            .state()
    };
    git_checkout_bundle => git(BUILDKIT).fragment("main").checkout_bundle().state();
    git_invalid_protocol => git("ftp://example.com/a.git").fragment("main:sub").state();
    git_unparsable => git("user.name@host:path/repo.git").fragment("main").state();
    git_empty_url => git("").fragment("main").state();
    git_url_encoding => {
        let urls = [
            "https://h/a b.git",
            "https://h/ä.git",
            "https://h/%41%7e.git",
            "https://h/a;b,c:d@e=f&g+h!$'()*",
            "https://h/a\"<>\\^`{|}",
            "https://h/x?",
            "https://h/x#",
            "https://u@h/x",
            "https://u:@h/x",
            "https://ü:p%40@h/x",
            "https://[::1]:3000/x",
            "https://h:/x",
            "https://h:port/x",
            "https://h/%zz",
            "https://h h/x",
            "https://h%41/x",
        ];
        merge(urls.map(|url| git(url).fragment("r")))
    };
}
